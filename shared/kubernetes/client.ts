import { setTimeout as sleepOfNode } from 'node:timers/promises'
import * as z from 'zod/mini'
import type { CredentialSource } from '#shared/credentials.ts'
import { PublisherError, reasonOf, StoreError } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { itemsOf, statusMessage, orAbsent } from './objects.ts'

/** How the API server is reached, and as whom. */
export type Access = {
  /** Scheme, host and port. */
  readonly origin: string
  /** Put before every path; without a slash at its end. */
  readonly basePath: string
  /** The name that the server's certificate has to bear, where it is not its host. */
  readonly serverName?: string | undefined
  readonly credentials: CredentialSource
  /**
   * The namespace to use where none is asked for.
   * @throws ConfigurationError if the pod's own cannot be read.
   */
  namespace(): Promise<string>
  /** Where all this comes from, for messages. */
  readonly source: string
}

export type Call = {
  /** As RBAC calls it. */
  readonly verb: keyof typeof METHODS
  /** The plural of the resource, of the core API. */
  readonly resource: string
  /** Absent for what belongs to no namespace, as Nodes. */
  readonly namespace?: string
  readonly name?: string
  /** As `status` of a Node. */
  readonly subresource?: string
  readonly query?: Readonly<Record<string, string>>
  /** Leaves all but the metadata out of the answer. */
  readonly metadataOnly?: boolean
  readonly body?: unknown
  /** `application/json`, and of a patch `application/merge-patch+json`, where it is absent. */
  readonly bodyType?: string
  /** Statuses above 299 that the caller knows what to do with: they are answers, all others are thrown. */
  readonly expects?: readonly number[]
  /** Of knative/components: what grants the right to this, which a 403 then names. */
  readonly component?: string
  /** Milliseconds for the whole call, waiting included; for one attempt it is never more than `attemptMs`. */
  readonly budgetMs?: number
  readonly attemptMs?: number
}

/** `body`: the parsed body; undefined where it was no JSON. */
type ApiAnswer = { readonly status: number; readonly body: unknown }

export type KubernetesClient = {
  /**
   * One call of the API. A 429 is asked again after its Retry-After if that is within the budget, and until then no
   * other call is made either. A read that was cut off is asked once more; a write may have been done, and never is.
   * @throws StoreError with the verb, the resource and the server; retryable unless the request itself was wrong.
   */
  request(call: Call): Promise<ApiAnswer>
  /** The object that a call gives; undefined where it gives a status that it `expects`. Throws as `request` does. */
  read<T>(call: Call, schema: z.ZodMiniType<T>): Promise<T | undefined>
  /**
   * All objects of a list, in pages of `query.limit`. It is of one moment, and read from the start again where its
   * continuation has expired. Throws as `request` does, and what `signal` is aborted with.
   */
  list<T>(call: ListCall, item: z.ZodMiniType<T>): Promise<T[]>
  /** Ends all connections. */
  close(): Promise<void>
}

/** `attemptMs` is that of a page, `budgetMs` that of the whole list. */
type ListCall = Omit<Call, 'verb' | 'name'> & { readonly signal?: AbortSignal | undefined }

export type ClientOptions = {
  /** Milliseconds until an attempt must have been answered. */
  readonly attemptMs?: number
  /** Milliseconds until a call must be done. */
  readonly budgetMs?: number
  readonly sleep?: (ms: number) => Promise<unknown>
}

/** Requests at once. */
const CONNECTIONS = 16

/** The longest that a Retry-After is heeded for. */
const LONGEST_PAUSE_MS = 30_000

/** How often a list is begun. */
const ATTEMPTS = 4

/** Sent to the server as the owner of the fields we write (`managedFields`): always the same, or the list grows. */
const FIELD_MANAGER = 'ptp-watch'

const METHODS = { get: 'GET', list: 'GET', create: 'POST', patch: 'PATCH', delete: 'DELETE' } as const

/** The few calls of the core API that we need. */
export function createKubernetesClient(
  access: Access,
  { log }: { log: Log },
  { attemptMs = 1_000, budgetMs = 1_500, sleep = sleepOfNode }: ClientOptions = {},
): KubernetesClient {
  const { origin, source, credentials, serverName } = access
  // A page of ConfigMaps may be of any length.
  const http = createHttp(
    { clock: systemClock, log },
    { credentials, connections: CONNECTIONS, serverName, bodyLimit: -1 },
  )
  let closed = false
  /** Nothing is asked before this time (of `performance`). */
  let quietUntil = 0

  const attempt = async (call: Call, deadlineMs: number) => {
    const request = {
      method: METHODS[call.verb],
      path: access.basePath + pathOf(call),
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      headers: headersOf(call),
    }
    try {
      return await http.request(origin, request, { deadlineMs })
    } catch (error) {
      if (!(error instanceof PublisherError)) throw error
      const reason = error.code === 'timeout' ? 'it did not answer in time' : reasonOf(error.cause ?? error)
      throw failed(call, `at ${origin} is unreachable: ${reason}`)
    }
  }

  const request = async (call: Call): Promise<ApiAnswer> => {
    const deadline = performance.now() + (call.budgetMs ?? budgetMs)
    const left = () => deadline - performance.now()
    for (;;) {
      if (closed) throw new StoreError(`Cannot ${wordsOf(call)}: the store is closed`, { retryable: false })
      const pause = quietUntil - performance.now()
      if (pause >= left()) {
        throw failed(call, `at ${origin} asked for a pause; ${Math.ceil(pause / 1000)} s are left`)
      }
      if (pause > 0) await sleep(pause)
      const answer = await attempt(call, Math.min(call.attemptMs ?? attemptMs, left()))
      const { status, retryAfterMs } = answer
      if (status === 429 && retryAfterMs !== undefined) {
        quietUntil = Math.max(quietUntil, performance.now() + Math.min(LONGEST_PAUSE_MS, retryAfterMs))
        if (quietUntil < deadline) continue
      }
      const body = parseJson(answer.body)
      if (status < 300 || call.expects?.includes(status)) return { status, body }
      const said = { 401: 'does not accept the credentials of', 403: 'does not allow it to' }[status]
      const reply = said === undefined ? `answered ${status}` : `${said} ${source} (${status})`
      const grant =
        status === 403 && call.component ? `. The component ${call.component} grants it (docs/deploy.md)` : ''
      // Credentials, permissions and namespaces can be put right while this process runs; a wrong request stays wrong.
      const retryable = [401, 403, 404, 408, 429].includes(status) || status >= 500
      const message = statusMessage(body) ?? answer.body.slice(0, 200)
      throw failed(call, `at ${origin} ${reply}: ${message}${grant}`, retryable)
    }
  }

  const read = async <T>(call: Call, schema: z.ZodMiniType<T>): Promise<T | undefined> => {
    const { status, body } = await request(call)
    if (status >= 300) return undefined
    const parsed = schema.safeParse(body)
    if (parsed.success) return parsed.data
    throw failed(call, `answered in an unexpected form: ${z.prettifyError(parsed.error)}`, false)
  }

  return {
    request,
    read,
    async list<T>({ signal, ...rest }: ListCall, item: z.ZodMiniType<T>) {
      const list = z.object({
        metadata: orAbsent(z.object({ continue: orAbsent(z.string()) })),
        items: itemsOf(item),
      })
      const endsAt = performance.now() + (rest.budgetMs ?? budgetMs)
      const call = { ...rest, verb: 'list', expects: [410] } as const
      let items: T[] = []
      let next: string | undefined
      for (let attempts = 0; attempts < ATTEMPTS; ) {
        signal?.throwIfAborted()
        const query = { ...rest.query, ...(next !== undefined && { continue: next }) }
        const left = Math.max(1, endsAt - performance.now())
        const page = await read({ ...call, query, budgetMs: left }, list)
        if (page === undefined) attempts += 1
        items = page === undefined ? [] : [...items, ...page.items]
        next = page?.metadata?.continue || undefined
        if (page !== undefined && next === undefined) return items
      }
      throw failed(call, 'forgot the list while it was read')
    },
    async close() {
      closed = true
      await http.close()
    },
  }
}

function failed(call: Call, what: string, retryable = true): StoreError {
  return new StoreError(`Cannot ${wordsOf(call)}: the API server ${what}`, { retryable })
}

/** `patch nodes/status n1`, `get configmaps x in namespace y`: as RBAC says it. */
function wordsOf({ verb, resource, subresource, name, namespace }: Call): string {
  const object = [verb, subresource === undefined ? resource : `${resource}/${subresource}`, name]
  return [...object, namespace && `in namespace ${namespace}`].filter(Boolean).join(' ')
}

function pathOf({ verb, resource, subresource, namespace, name, query }: Call): string {
  const scope = namespace && `namespaces/${encodeURIComponent(namespace)}`
  const parts = ['/api/v1', scope, resource, name && encodeURIComponent(name), subresource]
  const writes = verb === 'create' || verb === 'patch'
  const search = new URLSearchParams({ ...query, ...(writes && { fieldManager: FIELD_MANAGER }) }).toString()
  return `${parts.filter(Boolean).join('/')}${search && `?${search}`}`
}

function headersOf({ verb, metadataOnly, body, bodyType }: Call): Readonly<Record<string, string>> {
  const kind = verb === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata'
  const usual = verb === 'patch' ? 'application/merge-patch+json' : 'application/json'
  return {
    'user-agent': FIELD_MANAGER,
    ...(metadataOnly && { accept: `application/json;as=${kind};v=v1;g=meta.k8s.io` }),
    ...(body !== undefined && { 'content-type': bodyType ?? usual }),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

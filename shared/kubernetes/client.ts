import { setTimeout as sleepOfNode } from 'node:timers/promises'
import * as z from 'zod/mini'
import type { CredentialSource } from '#shared/credentials.ts'
import { PublisherError, reasonOf, StoreError } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { itemsOf, statusMessage, orAbsent } from './objects.ts'

/** How to reach the API server, and the credentials to use. */
export type Access = {
  /** Scheme, host and port. */
  readonly origin: string
  /** Prefixed to every path; without a trailing slash. */
  readonly basePath: string
  /** The name expected in the server's certificate, if it is not the host. */
  readonly serverName?: string | undefined
  readonly credentials: CredentialSource
  /**
   * The namespace to use if none is configured.
   * @throws ConfigurationError if the pod's own cannot be read.
   */
  namespace(): Promise<string>
  /** Where this comes from, for messages. */
  readonly source: string
}

export type Call = {
  /** As RBAC calls it. */
  readonly verb: keyof typeof METHODS
  /** The plural of a core API resource. */
  readonly resource: string
  /** Absent for cluster-scoped resources such as Nodes. */
  readonly namespace?: string
  readonly name?: string
  /** For example `status` of a Node. */
  readonly subresource?: string
  readonly query?: Readonly<Record<string, string>>
  /** Ask for the metadata only. */
  readonly metadataOnly?: boolean
  readonly body?: unknown
  /** Default: `application/json`, or `application/merge-patch+json` for a patch. */
  readonly bodyType?: string
  /** Statuses above 299 that the caller handles itself: they are returned, all others are thrown. */
  readonly expects?: readonly number[]
  /** The component in knative/components that grants this permission, named when the answer is 403. */
  readonly component?: string
  /** Milliseconds for the whole call including waits; one attempt never takes longer than `attemptMs`. */
  readonly budgetMs?: number
  readonly attemptMs?: number
}

/** `body`: the parsed body; undefined if it was not JSON. */
type ApiAnswer = { readonly status: number; readonly body: unknown }

export type KubernetesClient = {
  /**
   * One API call. After a 429 it is repeated once Retry-After has passed, if the budget allows; until then no other
   * call is made. A read that was cut off is repeated once; a write never is, as it may have been done.
   * @throws StoreError with the verb, the resource and the server; retryable unless the request itself is wrong.
   */
  request(call: Call): Promise<ApiAnswer>
  /** The object that a call returns; undefined for a status that it `expects`. Throws as `request` does. */
  read<T>(call: Call, schema: z.ZodMiniType<T>): Promise<T | undefined>
  /**
   * All objects of a list, read in pages of `query.limit`. The list is consistent: if its continuation expires, it is
   * read from the start again. Throws as `request` does, and the reason of `signal` if that is aborted.
   */
  list<T>(call: ListCall, item: z.ZodMiniType<T>): Promise<T[]>
  /** Closes all connections. */
  close(): Promise<void>
}

/** `attemptMs` limits each page, `budgetMs` the whole list. */
type ListCall = Omit<Call, 'verb' | 'name'> & { readonly signal?: AbortSignal | undefined }

export type ClientOptions = {
  /** The time limit of one attempt. Milliseconds. */
  readonly attemptMs?: number
  /** The time limit of a call. Milliseconds. */
  readonly budgetMs?: number
  readonly sleep?: (ms: number) => Promise<unknown>
}

/** Concurrent requests. */
const CONNECTIONS = 16

/** The longest Retry-After that is respected. */
const LONGEST_PAUSE_MS = 30_000

/** How often a list is started. */
const ATTEMPTS = 4

/** Names us as the owner of the fields we write (`managedFields`): it must stay the same, or that list grows. */
const FIELD_MANAGER = 'ptp-watch'

const METHODS = { get: 'GET', list: 'GET', create: 'POST', patch: 'PATCH', delete: 'DELETE' } as const

/** A client for the few calls of the core API that we need. */
export function createKubernetesClient(
  access: Access,
  { log }: { log: Log },
  { attemptMs = 1_000, budgetMs = 1_500, sleep = sleepOfNode }: ClientOptions = {},
): KubernetesClient {
  const { origin, source, credentials, serverName } = access
  // A page of ConfigMaps may have any length.
  const http = createHttp(
    { clock: systemClock, log },
    { credentials, connections: CONNECTIONS, serverName, bodyLimit: -1 },
  )
  let closed = false
  /** No call is made before this time (`performance.now`). */
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
        throw failed(call, `at ${origin} asked for a pause; ${Math.ceil(pause / 1000)} s left`)
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
      // Credentials, permissions and namespaces can be fixed while this process runs; an invalid request cannot.
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
    throw failed(call, `returned an unexpected answer: ${z.prettifyError(parsed.error)}`, false)
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

/** `patch nodes/status n1`, `get configmaps x in namespace y`: in the words of RBAC. */
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

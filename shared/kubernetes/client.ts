import { setTimeout as sleepOfNode } from 'node:timers/promises'
import type { CredentialSource } from '#shared/credentials.ts'
import { PublisherError, reasonOf, StoreError } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { failureOf, parseStatus } from './status.ts'

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

export type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete'

export type Call = {
  /** As RBAC calls it. */
  readonly verb: Verb
  /** The plural of the resource, of the core API. */
  readonly resource: string
  /** Absent for what belongs to no namespace, as Nodes. */
  readonly namespace?: string
  readonly name?: string
  /** As `status` of a Node. */
  readonly subresource?: string
  readonly query?: Readonly<Record<string, string>>
  /** Media type of what is wanted; `application/json` where it is absent. */
  readonly accept?: string
  readonly body?: { readonly type: string; readonly value: unknown }
  /** Statuses above 299 that the caller knows what to do with: they are answers, all others are thrown. */
  readonly expects?: readonly number[]
  /** Milliseconds for the whole call, waiting included; for one attempt it is never more than `attemptMs`. */
  readonly budgetMs?: number
  readonly attemptMs?: number
}

export type Answer = {
  readonly status: number
  /** Why, in a word, where the answer is a Status object: `Conflict`, `AlreadyExists`, `Expired`. */
  readonly reason: string | undefined
  /** The parsed body; undefined where it was no JSON. */
  readonly body: unknown
}

export type KubernetesClient = {
  /**
   * One call of the API. A 429 is asked again after its Retry-After if that is within the budget, and until then no
   * other call is made either. A read that was cut off is asked once more; a write may have been done, and never is.
   * @throws StoreError with the verb, the resource and the server; retryable unless the request itself was wrong.
   */
  request(call: Call): Promise<Answer>
  /** Ends all connections. */
  close(): Promise<void>
}

export type ClientOptions = {
  /** Milliseconds until an attempt must have been answered. */
  readonly attemptMs?: number
  /** Milliseconds until a call must be done. */
  readonly budgetMs?: number
  /** Connections, and so requests, at once. */
  readonly connections?: number
  readonly sleep?: (ms: number) => Promise<unknown>
}

/** The longest that a Retry-After is heeded for. */
const LONGEST_PAUSE_MS = 30_000

/** Sent to the server as the owner of the fields we write (`managedFields`): always the same, or the list grows. */
const FIELD_MANAGER = 'ptp-watch'

const METHODS = {
  get: 'GET',
  list: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
} as const

/** The few calls of the core API that we need. */
export function createKubernetesClient(
  access: Access,
  { log }: { log: Log },
  options: ClientOptions = {},
): KubernetesClient {
  const { attemptMs = 1_000, budgetMs = 1_500, connections = 16, sleep = sleepOfNode } = options
  const { origin, source, credentials, serverName } = access
  // A page of ConfigMaps may be of any length.
  const http = createHttp(
    { clock: systemClock, log },
    { credentials, connections, serverName, bodyLimit: -1 },
  )
  let closed = false
  /** Nothing is asked before this time (of `performance`). */
  let quietUntil = 0

  const attempt = async (call: Call, what: string, deadlineMs: number) => {
    const { verb, accept, body } = call
    const request = {
      method: METHODS[verb],
      path: access.basePath + pathOf(call),
      body: body && JSON.stringify(body.value),
      headers: {
        'user-agent': FIELD_MANAGER,
        ...(accept !== undefined && { accept }),
        ...(body !== undefined && { 'content-type': body.type }),
      },
    }
    try {
      return await http.request(origin, request, { deadlineMs })
    } catch (error) {
      if (!(error instanceof PublisherError)) throw error
      const reason = error.code === 'timeout' ? 'it did not answer in time' : reasonOf(error.cause ?? error)
      throw new StoreError(`Cannot ${what}: the API server at ${origin} is unreachable: ${reason}`)
    }
  }

  return {
    async request(call) {
      const { expects } = call
      const what = wordsOf(call)
      const deadline = performance.now() + (call.budgetMs ?? budgetMs)
      const left = () => deadline - performance.now()
      for (;;) {
        if (closed) throw new StoreError(`Cannot ${what}: the store is closed`, { retryable: false })
        const pause = quietUntil - performance.now()
        if (pause >= left()) {
          const seconds = Math.ceil(pause / 1000)
          throw new StoreError(
            `Cannot ${what}: the API server at ${origin} asked for a pause; ${seconds} s are left`,
          )
        }
        if (pause > 0) await sleep(pause)
        const answer = await attempt(call, what, Math.min(call.attemptMs ?? attemptMs, left()))
        if (answer.status === 429 && answer.retryAfterMs !== undefined) {
          const until = performance.now() + Math.min(LONGEST_PAUSE_MS, answer.retryAfterMs)
          quietUntil = Math.max(quietUntil, until)
          if (quietUntil < deadline) continue
        }
        const body = parseJson(answer.body)
        const status = parseStatus(body)
        if (answer.status < 300 || expects?.includes(answer.status)) {
          return { status: answer.status, reason: status?.reason, body }
        }
        const message = status?.message ?? answer.body.slice(0, 200)
        throw failureOf({ what, origin, source }, answer.status, message)
      }
    },
    async close() {
      closed = true
      await http.close()
    },
  }
}

/** `patch nodes/status n1`, `get configmaps x in namespace y`: as RBAC says it. */
function wordsOf({ verb, resource, subresource, name, namespace }: Call): string {
  const part = subresource === undefined ? '' : `/${subresource}`
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`
  return `${verb} ${resource}${part}${name === undefined ? '' : ` ${name}`}${where}`
}

function pathOf({ verb, resource, subresource, namespace, name, query }: Call): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  const writes = verb === 'create' || verb === 'update' || verb === 'patch'
  const search = new URLSearchParams({ ...query, ...(writes && { fieldManager: FIELD_MANAGER }) }).toString()
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`
  const part = subresource === undefined ? '' : `/${subresource}`
  return `/api/v1${scope}/${resource}${object}${part}${search && `?${search}`}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

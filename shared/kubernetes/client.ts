import { setTimeout as sleepOfNode } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import type { Credentials, CredentialSource } from '#shared/credentials.ts'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { failureOf, parseStatus } from './status.ts'

/** How the API server is reached, and as whom. */
export type Access = {
  /** Scheme, host and port. */
  readonly origin: string
  /** Put before every path; empty or without a slash at its end. */
  readonly basePath: string
  /** The name that the server's certificate has to bear, where it is not its host. */
  readonly serverName?: string | undefined
  readonly credentials: CredentialSource
  /**
   * The namespace to use where none is asked for.
   * @throws ConfigurationError if the pod's own is not to be had.
   */
  namespace(): Promise<string>
  /** Where all this comes from, for messages. */
  readonly source: string
}

/** The kubelet replaces a token after four fifths of its life, an hour at most: a minute is early enough. */
export const CREDENTIALS_INTERVAL_MS = 60_000

export type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete'

export type Call = {
  /** As RBAC calls it. */
  readonly verb: Verb
  /** The plural of the resource, of the core API. */
  readonly resource: string
  readonly namespace: string
  readonly name?: string
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
   * One call of the API. A 401 is asked once more if the credentials have changed since; a 429 after the time that
   * its Retry-After names, if that is within the budget, and until then nothing else is asked either. A read whose
   * kept connection died is asked once more; a write never is, since nobody knows whether it was done.
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

/** A server that asks for more is asked again all the same after this time. */
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

/** The few calls of the Kubernetes API that a store needs. */
export function createKubernetesClient(
  access: Access,
  { log }: { log: Log },
  options: ClientOptions = {},
): KubernetesClient {
  const { attemptMs = 1_000, budgetMs = 1_500, connections = 16, sleep = sleepOfNode } = options
  let agent: { generation: number; agent: Agent } | undefined
  let closed = false
  /** Nothing is asked before this time (of `performance`). */
  let quietUntil = 0

  const agentFor = (current: Credentials): Agent => {
    if (agent?.generation === current.tlsGeneration) return agent.agent
    const drained = agent?.agent
    agent = { generation: current.tlsGeneration, agent: agentWith(current, access, connections) }
    drained
      ?.close()
      .catch((error: unknown) => log.debug('Closing connections failed', { reason: reasonOf(error) }))
    return agent.agent
  }

  const attempt = async (call: Call, credentials: Credentials, ms: number) => {
    const response = await agentFor(credentials).request({
      origin: access.origin,
      path: access.basePath + pathOf(call),
      method: METHODS[call.verb],
      headers: headersOf(call, credentials.token),
      body: call.body === undefined ? null : JSON.stringify(call.body.value),
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(ms))),
      // The signal covers all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const text = await response.body.text()
    return { status: response.statusCode, text, retryAfterMs: retryAfterOf(response.headers) }
  }

  const attemptOrTwo = async (call: Call, credentials: Credentials, ms: number) => {
    const began = performance.now()
    try {
      return await attempt(call, credentials, ms)
    } catch (error) {
      const left = ms - (performance.now() - began)
      if (METHODS[call.verb] !== 'GET' || left <= 0 || !diedWithoutAnswer(error)) throw error
      return attempt(call, credentials, left)
    }
  }

  return {
    async request(call) {
      const what = `${call.verb} ${call.resource}${call.name === undefined ? '' : ` ${call.name}`} in namespace ${call.namespace}`
      const where = { what, origin: access.origin, source: access.source }
      const deadline = performance.now() + (call.budgetMs ?? budgetMs)
      const left = () => deadline - performance.now()
      let credentials = await access.credentials.current()
      let unauthorized = false
      for (;;) {
        if (closed) throw new StoreError(`Cannot ${what}: the store is closed`, { retryable: false })
        const pause = quietUntil - performance.now()
        if (pause >= left()) {
          throw new StoreError(
            `Cannot ${what}: the API server at ${access.origin} has asked for a pause of ${Math.ceil(pause / 1000)} s`,
          )
        }
        if (pause > 0) await sleep(pause)
        let answer: Awaited<ReturnType<typeof attempt>>
        try {
          answer = await attemptOrTwo(call, credentials, Math.min(call.attemptMs ?? attemptMs, left()))
        } catch (error) {
          if (!isOfTheNetwork(error)) throw error
          throw unreachable(where, error)
        }
        if (answer.status === 401 && !unauthorized) {
          unauthorized = true
          const fresh = await access.credentials.current({ fresh: true })
          const changed =
            fresh.token !== credentials.token || fresh.tlsGeneration !== credentials.tlsGeneration
          credentials = fresh
          if (changed) continue
        }
        if (answer.status === 429 && answer.retryAfterMs !== undefined) {
          const until = performance.now() + Math.min(LONGEST_PAUSE_MS, answer.retryAfterMs)
          quietUntil = Math.max(quietUntil, until)
          if (quietUntil < deadline) continue
        }
        const body = parseJson(answer.text)
        const status = parseStatus(body)
        if (answer.status < 300 || call.expects?.includes(answer.status)) {
          return { status: answer.status, reason: status?.reason, body }
        }
        throw failureOf(where, answer.status, status?.message ?? answer.text.slice(0, 200))
      }
    },
    async close() {
      closed = true
      await agent?.agent.destroy()
    },
  }
}

function agentWith({ ca, cert, key }: Credentials, { serverName }: Access, connections: number): Agent {
  return new Agent({
    connections,
    pipelining: 1,
    // One connection a request and no more than `connections`: the one protocol that all proxies speak.
    allowH2: false,
    connect: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { servername: serverName }),
    },
  })
}

function pathOf({ verb, resource, namespace, name, query }: Call): string {
  const base = `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}`
  const writes = verb === 'create' || verb === 'update' || verb === 'patch'
  const search = new URLSearchParams({ ...query, ...(writes && { fieldManager: FIELD_MANAGER }) }).toString()
  return `${base}${name === undefined ? '' : `/${encodeURIComponent(name)}`}${search && `?${search}`}`
}

function headersOf({ accept = 'application/json', body }: Call, token: string | undefined) {
  const headers: Record<string, string> = { accept, 'user-agent': FIELD_MANAGER }
  if (body !== undefined) headers['content-type'] = body.type
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  return headers
}

/** Whole seconds are the only form of Retry-After that API servers send. */
function retryAfterOf(headers: Dispatcher.ResponseData['headers']): number | undefined {
  const value = headers['retry-after']
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) * 1000 : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function diedWithoutAnswer(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
}

/** Errors of sockets, DNS, TLS and HTTP carry a code; what has none, or says that it was misused, is our own bug. */
function isOfTheNetwork(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof RangeError || error instanceof TypeError) return false
  if (error.name === 'TimeoutError') return true
  return 'code' in error && typeof error.code === 'string' && error.code !== 'UND_ERR_INVALID_ARG'
}

function unreachable({ what, origin }: { what: string; origin: string }, error: unknown): StoreError {
  const late = error instanceof Error && error.name === 'TimeoutError'
  const reason = late ? 'it did not answer in time' : reasonOf(error)
  return new StoreError(`Cannot ${what}: the API server at ${origin} is out of reach: ${reason}`, {
    cause: error,
  })
}

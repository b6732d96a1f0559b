import pLimit, { type LimitFunction } from 'p-limit'
import { Pool } from 'undici'
import { PublisherError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import { type CredentialFiles, type Credentials, createCredentials } from '#shared/credentials.ts'
import { type Answer, type Exchange, exchange, type HttpMethod, networkCodeOf } from './exchange.ts'

/** How one request may be bounded: by its own deadline (ms), and by a signal. */
export type CallOptions = {
  readonly deadlineMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export type Http = {
  /**
   * Asks and gives the complete answer, whatever its status; no redirect is followed. Waits for its turn where the
   * publisher or all together have as many requests as they may; the deadline starts after that.
   * A 401 is asked once more with credentials just read from their files. A GET or DELETE whose reused connection
   * died without an answer is asked once more.
   * @throws PublisherError when there is no answer in time, or none at all.
   */
  request(
    origin: string,
    request: { path: string; method: HttpMethod; body?: string | undefined },
    options?: CallOptions,
  ): Promise<Answer>
  /** @throws ConfigurationError if a file of credentials cannot be used; the message names its variable. */
  ready(): Promise<void>
  /** Lets requests in flight end, then closes all connections. */
  close(): Promise<void>
}

export type HttpOptions = {
  readonly credentials?: CredentialFiles
  /** How long credentials that were read are believed, in ms. */
  readonly credentialsIntervalMs?: number
  /** Default of a request's deadline, in ms. */
  readonly deadlineMs?: number
  /** Requests, and so connections, at once to one publisher: it serves its consumers one after another. */
  readonly perPublisher?: number
  /** Requests at once to all of them. */
  readonly overall?: number
  /** How many publishers' connections stay open between requests; beyond, those that were idle for longest are closed. */
  readonly keptOpen?: number
}

/** Two connections each: what they take is in docs/scaling.md. */
const KEPT_OPEN = 512
/** How long an idle connection is kept, in ms: longer than polls in seconds are apart, shorter than a minute. */
const KEEP_ALIVE_MS = 15_000

/** One publisher: the bound on requests to it at once, and its connections, once there are any. */
type Origin = {
  readonly limit: LimitFunction
  /** Requests that wait or are under way. */
  users: number
  opened: { readonly pool: Pool; readonly tlsGeneration: number } | undefined
}

const VARIABLES = {
  ca: 'PUBLISHER_CA_FILE',
  cert: 'PUBLISHER_CERT_FILE',
  key: 'PUBLISHER_KEY_FILE',
  token: 'PUBLISHER_TOKEN_FILE',
}

/**
 * Speaks HTTP to publishers: one pool of connections per origin, TLS and bearer token from files. Connections are
 * bounded: `perPublisher` for each of the `keptOpen` that were asked last, and of those that are asked just now.
 */
export function createHttp(deps: { clock: Clock; log: Log }, options: HttpOptions = {}): Http {
  const { deadlineMs = 5_000, perPublisher = 2, overall = 32, keptOpen = KEPT_OPEN } = options
  const credentials = createCredentials(options.credentials ?? {}, deps, {
    ...(options.credentialsIntervalMs !== undefined && { intervalMs: options.credentialsIntervalMs }),
    variables: VARIABLES,
  })
  const all = pLimit(overall)
  /** The one that was asked last is last. */
  const origins = new Map<string, Origin>()
  let underWay = 0
  let onIdle = () => {}

  const enter = (origin: string): Origin => {
    const known = origins.get(origin) ?? { limit: pLimit(perPublisher), users: 0, opened: undefined }
    known.users += 1
    origins.delete(origin)
    origins.set(origin, known)
    return known
  }

  const leave = (known: Origin) => {
    known.users -= 1
    if (origins.size <= keptOpen) return
    for (const [origin, idle] of origins) {
      if (idle.users > 0) continue
      origins.delete(origin)
      if (idle.opened !== undefined) letGo(idle.opened.pool.destroy())
      return
    }
  }

  const letGo = (closed: Promise<void>) => {
    closed.catch((error: unknown) => deps.log.debug('Closing connections failed', { error: String(error) }))
  }

  const poolOf = (name: string, known: Origin, current: Credentials): Pool => {
    const { tlsGeneration } = current
    const before = known.opened
    if (before?.tlsGeneration === tlsGeneration) return before.pool
    const pool = poolWith(name, current, perPublisher)
    known.opened = { pool, tlsGeneration }
    if (before !== undefined) letGo(before.pool.close())
    return pool
  }

  const once = async (request: Exchange, known: Origin, current: Credentials) => {
    try {
      return await exchange(poolOf(request.origin, known, current), request, deps.clock)
    } catch (error) {
      if (request.method === 'POST' || !diedWithoutAnswer(error)) throw error
      return await exchange(poolOf(request.origin, known, current), request, deps.clock)
    }
  }

  /** Undefined where the files hold what was shown before. */
  const withFresh = async (
    request: Exchange,
    known: Origin,
    shown: Credentials,
  ): Promise<Answer | undefined> => {
    const fresh = await credentials.current({ fresh: true })
    if (fresh.token === shown.token && fresh.tlsGeneration === shown.tlsGeneration) return undefined
    return await once({ ...request, headers: headersOf(request.body, fresh) }, known, fresh)
  }

  const ask = async (known: Origin, request: Omit<Exchange, 'headers'>): Promise<Answer> => {
    underWay += 1
    try {
      const current = await credentials.current()
      const asked = { ...request, headers: headersOf(request.body, current) }
      const answer = await once(asked, known, current)
      return answer.status === 401 ? ((await withFresh(asked, known, current)) ?? answer) : answer
    } finally {
      underWay -= 1
      if (underWay === 0) onIdle()
    }
  }

  return {
    async request(origin, { path, method, body }, { signal, deadlineMs: own = deadlineMs } = {}) {
      const known = enter(origin)
      const request = { origin, path, method, body, deadlineMs: own, signal }
      try {
        return await known.limit(() => all(() => ask(known, request)))
      } finally {
        leave(known)
      }
    },
    async ready() {
      await credentials.current()
    },
    async close() {
      const idle = new Promise<void>((resolve) => {
        if (underWay === 0) resolve()
        else onIdle = resolve
      })
      const opened = [...origins.values()].flatMap(({ opened }) =>
        opened === undefined ? [] : [opened.pool],
      )
      const closed = Promise.all(opened.map((pool) => pool.close()))
      // What was given up while its connection was being made would be waited for until that is given up too: 10 s.
      await Promise.race([closed, idle])
      await Promise.all(opened.map((pool) => pool.destroy()))
    },
  }
}

function headersOf(body: string | undefined, { token }: Credentials): Readonly<Record<string, string>> {
  if (body === undefined && token === undefined) return ACCEPT
  return {
    ...ACCEPT,
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
}

const ACCEPT = { accept: 'application/json' }

/** A kept-alive connection that the publisher closed just as it was used again. */
function diedWithoutAnswer(error: unknown): boolean {
  if (!(error instanceof PublisherError)) return false
  const code = networkCodeOf(error.cause)
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
}

/** It outlives its connections, which publishers end between two polls: an Agent makes it anew each time. */
function poolWith(origin: string, { ca, cert, key }: Credentials, connections: number): Pool {
  return new Pool(origin, {
    connections,
    pipelining: 1,
    // Publishers speak HTTP/1.1; a second protocol would only be a second way to fail.
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
  })
}

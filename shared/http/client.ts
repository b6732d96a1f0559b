import pLimit, { type LimitFunction } from 'p-limit'
import { type Dispatcher, Pool } from 'undici'
import { type Credentials, type CredentialSource, haveSameTls } from '#shared/credentials.ts'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { redact } from '#shared/redact.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import { type Attempted, attemptedOf, failureOf, isCutOff } from './failure.ts'

type OutgoingRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  /** Sent as is: `/./` and `//` survive, which `new URL` would normalize (starlingx.md). */
  readonly path: string
  readonly body?: string | undefined
  /** `content-type` and `accept` are `application/json` unless given here. */
  readonly headers?: Readonly<Record<string, string>>
  /** Only the status matters, even if the body is cut off or never ends. */
  readonly statusOnly?: boolean
}

/** Limits of one request: a deadline of its own (ms) and a signal. */
export type CallOptions = {
  readonly deadlineMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export type HttpAnswer = {
  readonly attempted: Attempted
  readonly status: number
  /** The exact text of the body. */
  readonly body: string
  /** Our time just before the request went out and just after the body was complete, RFC 3339. */
  readonly sentAt: string
  readonly receivedAt: string
  /** The `Date` header, by the server's clock. */
  readonly date?: string | undefined
  /** The `Retry-After` header, in ms from now. */
  readonly retryAfterMs?: number | undefined
}

export type Http = {
  /**
   * The complete answer, whatever its status; redirects are not followed. After a 401 the request is repeated once if
   * the credentials in their files have changed; a GET whose connection was cut is repeated once.
   * @throws PublisherError `timeout` at the deadline or when `signal` is aborted, `unreachable` when no answer came,
   * `body` for one that is too large.
   */
  request(origin: string, request: OutgoingRequest, options?: CallOptions): Promise<HttpAnswer>
  /** Waits for requests in flight, then closes all connections. */
  close(): Promise<void>
}

export type HttpOptions = {
  readonly credentials?: CredentialSource
  /** Default of a request's deadline, in ms. */
  readonly deadlineMs?: number
  /** Connections, and therefore concurrent requests, per origin. */
  readonly connections?: number
  /**
   * Concurrent requests to all origins together. Others wait, and their deadlines start after the wait; without this
   * limit the deadline includes waiting for a connection.
   */
  readonly overall?: number
  /** How many origins keep their connections between requests; the least recently used are closed. */
  readonly keptOpen?: number
  /** The largest body, in bytes; -1 for no limit. A publisher with hundreds of clocks stays far below 1 MiB. */
  readonly bodyLimit?: number
  /** The name expected in the server's certificate, if it is not the host. */
  readonly serverName?: string | undefined
}

/** Longer than the interval of poll rounds, shorter than a minute. Milliseconds. */
const KEEP_ALIVE_MS = 15_000

/** The one HTTP client: a connection pool per origin, with TLS and bearer token from files. */
export function createHttp({ clock, log }: { clock: Clock; log: Log }, options: HttpOptions = {}): Http {
  const { credentials, deadlineMs: usualMs = 5_000, connections = 2, keptOpen = 512 } = options
  /** Least recently used first. */
  const pools = new Map<string, { pool: Pool; shown: Credentials }>()
  const inFlight = new Set<Promise<unknown>>()
  const inTurn = options.overall === undefined ? undefined : createTurns(options.overall, connections)

  const letGo = (closed: Promise<void>) => {
    closed.catch((error: unknown) => log.debug('Cannot close connections', { reason: reasonOf(error) }))
  }

  const poolOf = (origin: string, shown: Credentials): Pool => {
    const before = pools.get(origin)
    pools.delete(origin)
    if (before !== undefined && haveSameTls(before.shown, shown)) {
      pools.set(origin, before)
      return before.pool
    }
    if (before !== undefined) letGo(before.pool.close())
    const pool = poolWith(origin, shown, { ...options, connections })
    pools.set(origin, { pool, shown })
    for (const [name, idle] of pools) {
      if (pools.size <= keptOpen) break
      if (name === origin || idle.pool.stats.size > 0) continue
      pools.delete(name)
      letGo(idle.pool.destroy())
    }
    return pool
  }

  /** Repeats the request as {@link Http.request} describes. */
  const ask = async (
    origin: string,
    request: OutgoingRequest,
    { deadlineMs = usualMs, signal }: CallOptions,
  ) => {
    const attempted = attemptedOf(request.method, `${origin}${request.path}`)
    const late = (why: string) =>
      new PublisherError('timeout', `${attempted.what} ${why}`, { url: attempted.url, retryable: true })
    const ending: Ending = {}
    const giveUp = (error: PublisherError) => {
      ending.error = error
      ending.end?.(error)
    }
    const onAbort = () => giveUp(late(`was aborted: ${redact(reasonOf(signal?.reason))}`))
    if (signal?.aborted) onAbort()
    const ms = Math.max(1, Math.ceil(deadlineMs))
    const timer = setTimeout(() => giveUp(late(`timed out after ${ms} ms`)), ms)
    signal?.addEventListener('abort', onAbort)
    const once = async (shown: Credentials): Promise<HttpAnswer> => {
      const sentAt = isoTime(clock.now())
      const go = () => exchange(poolOf(origin, shown), request, shown, ending)
      const { status, headers, body } = await go()
        .catch((error: unknown) => {
          if (request.method === 'GET' && isCutOff(error)) return go()
          throw error
        })
        .catch((error: unknown) => {
          throw failureOf(error, attempted)
        })
      const { date, 'retry-after': retryAfter } = headers
      return {
        ...{ attempted, status, body, sentAt },
        receivedAt: isoTime(clock.now()),
        date: typeof date === 'string' ? date : undefined,
        retryAfterMs: typeof retryAfter === 'string' ? waitOf(retryAfter, clock.now()) : undefined,
      }
    }
    try {
      const shown = (await credentials?.current()) ?? {}
      const answer = await once(shown)
      const fresh = answer.status === 401 ? await credentials?.current({ fresh: true }) : undefined
      return fresh === undefined || fresh === shown ? answer : await once(fresh)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  return {
    async request(origin, request, call = {}) {
      const go = () => ask(origin, request, call)
      const answer = inTurn === undefined ? go() : inTurn(origin, go)
      inFlight.add(answer)
      try {
        return await answer
      } finally {
        inFlight.delete(answer)
      }
    },
    async close() {
      await Promise.allSettled(inFlight)
      // Not `close`: it would wait 10 s for a connection still being opened for a request that timed out.
      await Promise.all([...pools.values()].map(({ pool }) => pool.destroy()))
    },
  }
}

/** Why a request ended before its answer was complete, and how to abort the exchange under way. */
type Ending = { error?: PublisherError; end?: (error: PublisherError) => void }

type AnswerHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

type RawAnswer = Pick<HttpAnswer, 'status' | 'body'> & { readonly headers: AnswerHeaders }

const utf8 = new TextDecoder()

/** One request and its whole answer. Uses a dispatch handler because undici's `request` creates a stream per body. */
function exchange(
  pool: Pool,
  { method, path, body, headers, statusOnly = false }: OutgoingRequest,
  { token }: Credentials,
  ending: Ending,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let begun: Omit<RawAnswer, 'body'> | undefined
    const chunks: Buffer[] = []
    const fail = (error: unknown) => {
      if (statusOnly && begun !== undefined) resolve({ ...begun, body: '' })
      else reject(error)
    }
    // undici cannot abort a request before it has a connection: do not wait for it, and do not send it later.
    ending.end = fail
    if (ending.error !== undefined) return fail(ending.error)
    const request = {
      method,
      path,
      body: body ?? null,
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      // The deadline covers both.
      headersTimeout: 0,
      bodyTimeout: 0,
    }
    pool.dispatch(request, {
      onRequestStart(controller) {
        if (ending.error !== undefined) return controller.abort(ending.error)
        ending.end = (error) => {
          fail(error)
          controller.abort(error)
        }
      },
      onResponseStart(_controller, status, received) {
        // 1xx responses come before the actual one.
        if (status >= 200) begun = { status, headers: received }
      },
      onResponseData: (_controller, chunk) => void chunks.push(chunk),
      onResponseEnd() {
        const [first] = chunks
        const bytes = chunks.length > 1 ? Buffer.concat(chunks) : first
        if (begun !== undefined) resolve({ ...begun, body: utf8.decode(bytes) })
      },
      onResponseError: (_controller, error) => fail(error),
    })
  })
}

function poolWith(
  origin: string,
  { ca, cert, key }: Credentials,
  { connections, serverName, bodyLimit = 1024 * 1024 }: HttpOptions & { connections: number },
): Pool {
  return new Pool(origin, {
    connections,
    pipelining: 1,
    // Publishers speak HTTP/1.1; a second protocol would only add ways to fail.
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxResponseSize: bodyLimit,
    connect: { ca, cert, key, servername: serverName },
  })
}

/** Limits concurrent requests per origin and in total; the others wait. */
function createTurns(overall: number, perOrigin: number) {
  const all = pLimit(overall)
  const origins = new Map<string, LimitFunction>()
  return async <T>(origin: string, run: () => Promise<T>): Promise<T> => {
    const own = origins.get(origin) ?? pLimit(perOrigin)
    origins.set(origin, own)
    try {
      return await own(() => all(run))
    } finally {
      if (own.activeCount + own.pendingCount === 0) origins.delete(origin)
    }
  }
}

/** Milliseconds of a Retry-After given in seconds or as a date (RFC 9110 §10.2.3). */
function waitOf(header: string, now: number): number | undefined {
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(wait) ? undefined : Math.max(wait, 0)
}

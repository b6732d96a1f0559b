import { Pool } from 'undici'
import { PublisherError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import { type CredentialFiles, type Credentials, createCredentials } from '#shared/credentials.ts'
import { type Answer, type Exchange, exchange, type HttpMethod, networkCodeOf } from './exchange.ts'
import { createTurns, type Turns } from './turns.ts'

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
}

const VARIABLES = {
  ca: 'PUBLISHER_CA_FILE',
  cert: 'PUBLISHER_CERT_FILE',
  key: 'PUBLISHER_KEY_FILE',
  token: 'PUBLISHER_TOKEN_FILE',
}

/** Speaks HTTP to publishers: one pool of connections per origin, TLS and bearer token from files. */
export function createHttp(deps: { clock: Clock; log: Log }, options: HttpOptions = {}): Http {
  const { deadlineMs = 5_000, perPublisher = 2, overall = 32 } = options
  const credentials = createCredentials(options.credentials ?? {}, deps, {
    ...(options.credentialsIntervalMs !== undefined && { intervalMs: options.credentialsIntervalMs }),
    variables: VARIABLES,
  })
  const all = createTurns(overall)
  const turnsAt = new Map<string, Turns>()
  const pools = new Map<string, { readonly pool: Pool; readonly tlsGeneration: number }>()
  let underWay = 0
  let onIdle = () => {}

  const turnsOf = (origin: string): Turns => {
    const known = turnsAt.get(origin)
    if (known !== undefined) return known
    const turns = createTurns(perPublisher)
    turnsAt.set(origin, turns)
    return turns
  }

  const poolOf = (origin: string, current: Credentials): Pool => {
    const known = pools.get(origin)
    const { tlsGeneration } = current
    if (known?.tlsGeneration === tlsGeneration) return known.pool
    const pool = poolWith(origin, current, perPublisher)
    pools.set(origin, { pool, tlsGeneration })
    known?.pool
      .close()
      .catch((error: unknown) => deps.log.debug('Closing connections failed', { error: String(error) }))
    return pool
  }

  const once = async (request: Exchange, current: Credentials) => {
    try {
      return await exchange(poolOf(request.origin, current), request, deps.clock)
    } catch (error) {
      if (request.method === 'POST' || !diedWithoutAnswer(error)) throw error
      return await exchange(poolOf(request.origin, current), request, deps.clock)
    }
  }

  /** Undefined where the files hold what was shown before. */
  const withFresh = async (request: Exchange, shown: Credentials): Promise<Answer | undefined> => {
    const fresh = await credentials.current({ fresh: true })
    if (fresh.token === shown.token && fresh.tlsGeneration === shown.tlsGeneration) return undefined
    return await once({ ...request, headers: headersOf(request.body, fresh) }, fresh)
  }

  return {
    async request(origin, { path, method, body }, { signal, deadlineMs: own = deadlineMs } = {}) {
      const turns = turnsOf(origin)
      // Mostly there is room, and each promise that is waited for is one more for each of thousands of requests.
      const turn = turns.enter()
      if (turn !== undefined) await turn
      const place = all.enter()
      if (place !== undefined) await place
      underWay += 1
      try {
        const current = await credentials.current()
        const headers = headersOf(body, current)
        const request = { origin, path, method, headers, body, deadlineMs: own, signal }
        const answer = await once(request, current)
        return answer.status === 401 ? ((await withFresh(request, current)) ?? answer) : answer
      } finally {
        underWay -= 1
        if (underWay === 0) onIdle()
        all.leave()
        turns.leave()
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
      const opened = Array.from(pools.values(), ({ pool }) => pool)
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
    connect: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
  })
}

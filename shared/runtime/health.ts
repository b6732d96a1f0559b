import type { Clock } from '#shared/time.ts'
import { METRICS_CONTENT_TYPE, type Metrics } from '#shared/metrics.ts'
import type { OpenFunction } from './function.ts'
import {
  type Admit,
  errorReply,
  type HttpFunction,
  type HttpRequest,
  jsonReply,
  methodNotAllowed,
} from './reply.ts'

export type Phase = 'starting' | 'ready' | 'draining'

/** How long one answer of the store is believed: probes come several times a second. Milliseconds. */
const PING_TTL = 1_000
/** How long a probe waits for the store; probes themselves give up after a second. Milliseconds. */
const PING_TIMEOUT = 500

/**
 * Adds `/health/liveness`, `/health/readiness` and `/metrics` to a function.
 *
 * A store that is down does not make a function unready: with no ready instance publishers would meet refused
 * connections, and drop their subscriptions after ten of them (protocol.md §4.2).
 */
export function withHealth(
  handle: HttpFunction,
  deps: {
    metrics: Metrics
    clock: Clock
    phase: () => Phase
    ping?: OpenFunction['ping'] | undefined
    scrape?: OpenFunction['scrape'] | undefined
  },
): HttpFunction {
  const store = deps.ping === undefined ? undefined : createProbe(deps.ping, deps.clock)

  const liveness = () => jsonReply(200, { status: 'live' })
  const readiness = async () => {
    const phase = deps.phase()
    if (phase !== 'ready') return errorReply(503, phase, `The function is ${phase}`)
    return jsonReply(200, { status: 'ready', ...(store === undefined ? {} : { store: await store() }) })
  }
  const metrics = (request: HttpRequest) => {
    const text = deps.metrics.text()
    if (deps.scrape !== undefined) return deps.scrape(request, text)
    return { status: 200, headers: { 'content-type': METRICS_CONTENT_TYPE }, body: text }
  }
  const routes = new Map<string, HttpFunction>([
    ['/health/liveness', liveness],
    ['/health/readiness', readiness],
    ['/metrics', metrics],
  ])

  return (request: HttpRequest) => {
    const route = routes.get(request.path)
    if (route === undefined) return handle(request)
    return request.method === 'GET' || request.method === 'HEAD'
      ? route(request)
      : methodNotAllowed(['GET', 'HEAD'])
  }
}

/** A function's own `admit` knows nothing of what {@link withHealth} adds. */
export function exceptHealth(admit: Admit): Admit {
  return (head) => (PATHS.has(head.path) ? undefined : admit(head))
}

const PATHS: ReadonlySet<string> = new Set(['/health/liveness', '/health/readiness', '/metrics'])

/** Asks at most once a {@link PING_TTL}, for all who ask, and takes too long an answer for none. */
function createProbe(ping: () => Promise<void>, clock: Clock): () => Promise<'up' | 'down'> {
  let asked = Number.NEGATIVE_INFINITY
  let answer: Promise<'up' | 'down'> = Promise.resolve('down')
  const ask = async (): Promise<'up' | 'down'> => {
    const { promise: late, resolve } = Promise.withResolvers<'down'>()
    const timer = setTimeout(resolve, PING_TIMEOUT, 'down')
    try {
      return await Promise.race([ping().then(() => 'up' as const), late])
    } catch {
      // Whatever the driver throws, the store is down; why is for those who use it to log.
      return 'down'
    } finally {
      clearTimeout(timer)
    }
  }
  return () => {
    const now = clock.now()
    if (now - asked >= PING_TTL || now < asked) {
      asked = now
      answer = ask()
    }
    return answer
  }
}

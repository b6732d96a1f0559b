import { within } from '#shared/deadline.ts'
import { METRICS_CONTENT_TYPE, type Metrics } from '#shared/metrics.ts'
import type { Clock } from '#shared/time.ts'
import type { OpenFunction } from './function.ts'
import { type Admit, errorReply, type HttpFunction, jsonReply, methodNotAllowed } from './reply.ts'

export type Phase = 'starting' | 'ready' | 'draining'

/** How long the store's answer is reused: there may be several probes a second. Milliseconds. */
const PING_TTL = 1_000
/** How long a probe waits for the store; the prober itself gives up after a second. Milliseconds. */
const PING_TIMEOUT = 500

/** A function over HTTP. `admit` refuses requests regardless of their body. */
export type Served = { readonly handle: HttpFunction; readonly admit?: Admit | undefined }

/**
 * Adds `/health/liveness`, `/health/readiness` and `/metrics` to a function.
 *
 * A store that is down does not make a function unready: without a ready instance publishers would get connection
 * refused, and drop their subscriptions after the tenth time (protocol.md §4.2).
 */
export function withHealth(
  { handle, admit }: Served,
  deps: {
    metrics: Metrics
    clock: Clock
    phase: () => Phase
    ping?: OpenFunction['ping'] | undefined
    scrape?: OpenFunction['scrape'] | undefined
  },
): Served {
  const store = deps.ping === undefined ? undefined : createProbe(deps.ping, deps.clock)
  const routes = new Map<string, HttpFunction>([
    ['/health/liveness', () => jsonReply(200, { status: 'live' })],
    [
      '/health/readiness',
      async () => {
        const phase = deps.phase()
        if (phase !== 'ready') return errorReply(503, phase, `The function is ${phase}`)
        return jsonReply(200, { status: 'ready', store: await store?.() })
      },
    ],
    [
      '/metrics',
      (request) => {
        const body = deps.metrics.text()
        if (deps.scrape !== undefined) return deps.scrape(request, body)
        return { status: 200, headers: { 'content-type': METRICS_CONTENT_TYPE }, body }
      },
    ],
  ])
  return {
    handle(request) {
      const route = routes.get(request.path)
      if (route === undefined) return handle(request)
      const isRead = request.method === 'GET' || request.method === 'HEAD'
      return isRead ? route(request) : methodNotAllowed(['GET', 'HEAD'])
    },
    admit: admit && ((head) => (routes.has(head.path) ? undefined : admit(head))),
  }
}

/** Pings at most once per {@link PING_TTL} for all callers; a late answer counts as down. */
function createProbe(ping: () => Promise<void>, clock: Clock): () => Promise<'up' | 'down'> {
  let asked = Number.NEGATIVE_INFINITY
  let answer: Promise<'up' | 'down'> = Promise.resolve('down')
  return () => {
    const now = clock.now()
    if (now - asked < PING_TTL && now >= asked) return answer
    asked = now
    // Any error means that the store is down; whoever uses the store logs why.
    answer = within(PING_TIMEOUT, ping(), () => 'late').then(
      () => 'up',
      () => 'down',
    )
    return answer
  }
}

import { expect, test } from 'vitest'
import { createMetrics } from '#shared/metrics.ts'
import { type Phase, withHealth } from '#shared/runtime/health.ts'
import type { HttpRequest } from '#shared/runtime/reply.ts'

const get = (path: string, method = 'GET'): HttpRequest => ({
  method,
  path,
  query: '',
  headers: {},
  body: new Uint8Array(),
  signal: AbortSignal.abort(),
})

function hosted(options: { ping?: () => Promise<void>; phase?: () => Phase } = {}) {
  const time = { now: 0 }
  const metrics = createMetrics()
  metrics.gauge({ name: 'ptp_watch_up', help: 'Up.' })
  const { handle } = withHealth(
    { handle: () => ({ status: 418 }) },
    {
      metrics,
      clock: { now: () => time.now },
      phase: options.phase ?? (() => 'ready'),
      ping: options.ping,
    },
  )
  const ask = async (path: string, method?: string) => {
    const { status, body = '' } = await handle(get(path, method))
    return { status, body }
  }
  return { ask, time }
}

test('what is neither health nor metrics is the function’s', async () => {
  const { ask } = hosted()
  for (const path of ['/', '/health', '/health/', '/healthy', '/metrics/x', '/health/liveness/']) {
    expect((await ask(path)).status, path).toBe(418)
  }
})

test('a function without a store is ready without one', async () => {
  expect(await hosted().ask('/health/readiness')).toEqual({ status: 200, body: '{"status":"ready"}\n' })
})

test.each(['starting', 'draining'] as const)(
  'a function that is %s is live, but not ready',
  async (phase) => {
    const { ask } = hosted({ phase: () => phase })
    expect((await ask('/health/liveness')).status).toBe(200)
    const { status, body } = await ask('/health/readiness')
    expect(status).toBe(503)
    expect(JSON.parse(String(body))).toEqual({ error: { code: phase, message: `The function is ${phase}` } })
  },
)

test('a store that is down is shown, and leaves the function ready', async () => {
  const { ask } = hosted({ ping: () => Promise.reject(new Error('refused')) })
  expect(await ask('/health/readiness')).toEqual({
    status: 200,
    body: '{"status":"ready","store":"down"}\n',
  })
})

test('a store that does not answer is down before the probe gives up', async () => {
  const { ask } = hosted({ ping: () => new Promise(() => {}) })
  expect((await ask('/health/readiness')).body).toContain('"store":"down"')
})

test('the store is asked once a second, however many probes come', async () => {
  let pings = 0
  let up = true
  const { ask, time } = hosted({
    ping: () => {
      pings += 1
      return up ? Promise.resolve() : Promise.reject(new Error('refused'))
    },
  })
  await Promise.all([ask('/health/readiness'), ask('/health/readiness')])
  up = false
  time.now = 999
  expect((await ask('/health/readiness')).body).toContain('"store":"up"')
  expect(pings).toBe(1)
  time.now = 1_000
  expect((await ask('/health/readiness')).body).toContain('"store":"down"')
  expect(pings).toBe(2)
  time.now = 10
  await ask('/health/readiness')
  expect(pings, 'a clock that was set back does not stop the asking').toBe(3)
})

test('metrics are those of the registry', async () => {
  expect((await hosted().ask('/metrics')).body).toContain('ptp_watch_up 0\n')
})

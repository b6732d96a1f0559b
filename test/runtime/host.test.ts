import { expect, onTestFinished, test } from 'vitest'
import { readConfig } from '#shared/config/index.ts'
import { createLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import { command } from '#shared/runtime/cli.ts'
import type { Opened, OpenFunction } from '#shared/runtime/function.ts'
import { closed, serveUntil } from '#shared/runtime/host.ts'
import type { Limits } from '#shared/runtime/serve.ts'
import { echo } from './echo/definition.ts'
import { rawConnection } from './raw.ts'
import { gate } from './serving.ts'

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

/** A function in the test's own process, served until `stop`. */
async function served(open: Partial<OpenFunction>, limits: Partial<Limits> = {}) {
  const lines: { message: string; url?: string }[] = []
  const listening = gate()
  const log = createLog({
    level: 'debug',
    now: () => 0,
    write: (line) => {
      lines.push(JSON.parse(line))
      listening.open()
    },
  })
  const opened: Opened = {
    config: await readConfig({ HOST: '127.0.0.1', PORT: '0' }),
    host: { clock: { now: () => 0 }, log, metrics: createMetrics(), random: () => 0, newId: () => 'x' },
    open: { handle: () => ({ status: 204 }), close: () => Promise.resolve(), ...open },
  }
  const controller = new AbortController()
  const code = serveUntil(opened, controller.signal, { lingerTime: 10, ...limits })
  onTestFinished(async () => {
    controller.abort()
    await code
  })
  await listening.opened
  const port = Number(new URL(lines[0]?.url ?? '').port)
  return {
    code,
    port,
    stop: () => controller.abort(new Error('Stopped')),
    messages: () => lines.map((l) => l.message),
  }
}

test('a function that drains is closed after its last request, and says so to probes until then', async () => {
  const held = gate()
  const order: string[] = []
  const { code, port, stop } = await served(
    {
      async handle() {
        await held.opened
        order.push('answered')
        return { status: 204 }
      },
      close() {
        order.push('closed')
        return Promise.resolve()
      },
    },
    { lingerTime: 10_000 },
  )
  using busy = await rawConnection(port)
  using probe = await rawConnection(port)
  busy.send(GET('/'))
  probe.send(GET('/health/readiness'))
  await probe.until(/"status":"ready"/)
  stop()
  probe.send(GET('/health/readiness'))
  expect(await probe.closed()).toMatch(/503 Service Unavailable.*"code":"draining"/s)
  held.open()
  expect(await busy.closed()).toMatch(/^HTTP\/1.1 204 /)
  expect(await code).toBe(0)
  expect(order).toEqual(['answered', 'closed'])
})

test('every reply is counted by its status, also to what reaches no function', async () => {
  const { port } = await served({
    handle: ({ path }) => ({ status: path === '/' ? 204 : 299 }),
  })
  using raw = await rawConnection(port)
  raw.send(GET('/') + GET('/') + GET('/odd'))
  await raw.until(/299/)
  using large = await rawConnection(port)
  large.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`)
  await large.closed()
  using noise = await rawConnection(port)
  noise.send('noise\r\n\r\n')
  await noise.closed()
  raw.send(GET('/metrics'))
  const text = await raw.until(/status="other"\} \d/)
  const counts = text.match(/(?<=ptp_watch_http_replies_total)\{status="\w+"\} [1-9]\d*/g)
  expect(counts).toEqual(['{status="204"} 2', '{status="400"} 1', '{status="413"} 1', '{status="other"} 1'])
})

test('a function that could not be closed ends with 1, and why is logged', async () => {
  const { code, stop, messages } = await served({ close: () => Promise.reject(new Error('disk full')) })
  stop()
  expect(await code).toBe(1)
  expect(messages()).toContain('failed to close the function')
})

test('a function whose requests were cut ends with 1, closed nonetheless', async () => {
  let closes = 0
  const entered = gate()
  const { code, port, stop } = await served(
    {
      handle() {
        entered.open()
        return new Promise(() => {})
      },
      close() {
        closes += 1
        return Promise.resolve()
      },
    },
    { drainTimeout: 20 },
  )
  using raw = await rawConnection(port)
  raw.send(GET('/'))
  await entered.opened
  stop()
  expect(await code).toBe(1)
  expect(closes).toBe(1)
})

test('a close that takes too long is given up', async () => {
  const log = createLog({ level: 'silent', now: () => 0 })
  const host = { clock: { now: () => 0 }, log, metrics: createMetrics(), random: () => 0, newId: () => 'x' }
  expect(await closed({ close: () => new Promise(() => {}) }, host, 1)).toBe(false)
  expect(await closed({ close: () => Promise.resolve() }, host, 1_000)).toBe(true)
})

test('a run that went well but could not be closed ends with 1', async () => {
  const open = () =>
    Promise.resolve({ run: () => Promise.resolve(0), close: () => Promise.reject(new Error('disk full')) })
  const code = await command(
    { echo: () => Promise.resolve({ ...echo, open }) },
    {
      argv: ['echo'],
      env: { CALLBACK_URL: 'http://ingest', LOG_LEVEL: 'silent' },
      terminal: { out() {}, err() {}, interactive: false, colour: false, columns: 100 },
      signal: new AbortController().signal,
      version: () => Promise.resolve(''),
    },
  )
  expect(code).toBe(1)
})

import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import type { LogEntry } from '#shared/state/document.ts'
import { momentAfter, type Notification } from '../functions/ingest/notifications.ts'
import { sendAll } from '../functions/ingest/senders.ts'
import { openStore } from '../functions/fleet.ts'
import { type Env, onServe, start, MAIN } from '../runtime/processes.ts'
import { range } from '../state/drivers/samples.ts'
import type { TestSink } from '../support/sink.ts'
import { numbersOf, openSink, temporaryDatabase } from './world.ts'

const NODES = ['a.example.com', 'b.example.com', 'c.example.com']
const WORDS = ['LOCKED', 'HOLDOVER', 'FREERUN'] as const

async function makeFleet(sink?: TestSink) {
  const common: Env = {
    STATE_URL: temporaryDatabase(),
    PUBLISHERS: JSON.stringify(NODES.map((node) => ({ node, url: 'http://127.0.0.1:9' }))),
    HISTORY_PER_NODE: '1000',
    SINK_TOKEN_FILE: '/none',
  }
  const withSink: Env = sink === undefined ? common : { ...common, K_SINK: sink.url }
  return {
    common,
    withSink,
    async ingest(env: Env = withSink) {
      const host = await onServe(MAIN, 'ingest', env)
      onTestFinished(async () => {
        host.running.kill('SIGKILL')
        await host.running.exit
      })
      return host
    },
    /** What the store has of a node. */
    async stored(node: string) {
      const store = await openStore(common.STATE_URL ?? '')
      try {
        const state = await store.read(node)
        const log: LogEntry[] = await store.log(node, { after: 0, limit: 100_000 })
        return { seq: state?.seq, forwarded: state?.forwarded, log }
      } finally {
        await store.close()
      }
    },
  }
}

/** Transitions of one clock of a node; `from` counts on where others have ended. */
function transitions(node: string, count: number, from = 0, instance = 'ens5fx/master'): Notification[] {
  return range(from, from + count - 1).map((number) => ({
    node,
    instance,
    word: WORDS[number % WORDS.length] ?? '',
    at: momentAfter(number),
  }))
}

/** All that is in the log of each node is at the sink, each first arrival in the order of the log. */
async function expectAll(sink: TestSink, fleet: Awaited<ReturnType<typeof makeFleet>>, nodes = NODES) {
  for (const node of nodes) {
    const { log, seq = 0 } = await fleet.stored(node)
    await sink.until((now) => now.taken(node).length >= seq)
    expect(numbersOf(sink.taken(node))).toEqual(log.map((entry) => entry.seq))
    for (const [index, { data, sequence }] of sink.taken(node).entries()) {
      expect(data).toEqual({ node, ...log[index] })
      expect(sequence).toBe(String(data.seq).padStart(19, '0'))
    }
  }
}

test('SIGTERM ends a process whose sink hangs; what was not taken is still to be sent', async () => {
  const sink = await openSink()
  sink.answer('hang')
  const fleet = await makeFleet(sink)
  const [node = ''] = NODES
  const first = await fleet.ingest()
  await sendAll(first.url, transitions(node, 3))
  await sink.until(({ arrivals }) => arrivals.length === 1)
  first.running.kill('SIGTERM')
  expect(await first.running.exit).toBe(0)
  const { seq, forwarded } = await fleet.stored(node)
  expect(forwarded).toBe(0)
  expect(seq).toBeGreaterThanOrEqual(3)
  sink.answer(202)
  const second = await fleet.ingest()
  await sendAll(second.url, transitions(node, 1, 3))
  await expectAll(sink, fleet, [node])
})

test('poll sends what others have left, also of nodes whose publisher does not answer', async () => {
  const sink = await openSink()
  await sink.down()
  const fleet = await makeFleet(sink)
  const ingest = await fleet.ingest()
  await Promise.all(NODES.map((node) => sendAll(ingest.url, transitions(node, 4))))
  ingest.running.kill('SIGKILL')
  await ingest.running.exit
  await sink.up()
  const env = { ...fleet.withSink, CALLBACK_URL: 'http://127.0.0.1:8080' }
  const poll = start([MAIN, 'poll'], env)
  expect(await poll.exit).toBe(1)
  await expectAll(sink, fleet)
  for (const node of NODES) {
    const { seq, forwarded } = await fleet.stored(node)
    expect(forwarded).toBe(seq)
  }
})

test('without K_SINK nothing is sent, and no cursor is made', async () => {
  const fleet = await makeFleet()
  const [node = ''] = NODES
  const { url, running } = await fleet.ingest()
  await sendAll(url, transitions(node, 5))
  const { body } = await request(`${url}/metrics`)
  expect(await body.text()).not.toContain('ptp_watch_forward')
  running.kill('SIGTERM')
  expect(await running.exit).toBe(0)
  expect(await fleet.stored(node)).toMatchObject({ forwarded: undefined, seq: expect.any(Number) })
})

test.each([
  ['without', {}, false],
  ['with', { K_SINK: 'http://127.0.0.1:9/' }, true],
])('%s K_SINK ingest loads what sends events: %j', async (_, env, loads) => {
  const code = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
    const { ingest } = await import('#functions/ingest/index.ts')
    const { openFunction } = await import('#shared/runtime/host.ts')
    const { open } = await openFunction(ingest, { ...process.env, STATE_URL: 'memory:' })
    await open.close()
    console.log(JSON.stringify(loaded))`
  const child = start(['--input-type=module', '-e', code], env)
  expect(await child.exit, child.err()).toBe(0)
  expect(/undici/.test(child.out())).toBe(loads)
  expect(child.out().includes('broker/forward.ts')).toBe(loads)
})

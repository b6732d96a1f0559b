import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { acceptedTimes, clocksIn, redHatV2, steady } from './support/publishers.ts'
import { eventually, listening, startSystem, tick } from './support/system.ts'
import { shownOf, truthOf } from './support/truth.ts'
import { clockOf, nanoseconds } from './support/view.ts'

const names = ['worker-0', 'worker-1', 'worker-2', 'worker-3'].map((name) => `${name}.site-a.example.com`)

/** More events than are delivered before the test goes on. */
function pushMany(publisher: Publisher): void {
  for (let count = 0; count < 300; count += 1) {
    publisher.setClock({ kind: 'clock-class', clockClass: 100 + (count % 90) })
  }
}

function accepted(publisher: Publisher): number {
  return publisher.deliveries.filter(({ cause, outcome }) => cause === 'event' && outcome === 204).length
}

test.each([
  { signal: 'SIGTERM', code: 0 },
  { signal: 'SIGKILL', code: null },
] as const)(
  '$signal while publishers push: the store has all that ingest acknowledged',
  async ({ signal, code }) => {
    const publishers = await listening(...names.map((name) => redHatV2(name)))
    for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem(publishers)
    await system.tick()
    const before = await Promise.all(publishers.map((publisher) => system.node(publisher)))

    publishers.forEach(pushMany)
    await eventually(() => {
      for (const publisher of publishers) expect(accepted(publisher)).toBeGreaterThan(20)
    })
    system.ingest.process.kill(signal)
    expect(await system.ingest.process.exit).toBe(code)
    await Promise.all(publishers.map((publisher) => publisher.idle()))

    for (const [index, publisher] of publishers.entries()) {
      // It was stopped in the middle of them.
      expect(publisher.deliveries.some(({ outcome }) => outcome === 'refused')).toBe(true)
      const after = await system.node(publisher)
      const received = after.counters.received - (before[index]?.counters.received ?? 0)
      expect(received).toBeGreaterThanOrEqual(accepted(publisher))
      const [newest = ''] = acceptedTimes(publisher).slice(-1)
      expect(nanoseconds(clockOf(after, 'clock-class').observedAt)).toBeGreaterThanOrEqual(
        nanoseconds(newest),
      )
    }
  },
)

test('SIGTERM with requests in flight: each is answered, and what was acknowledged is in the store', async () => {
  const system = await startSystem([], {
    PUBLISHERS: JSON.stringify(names.map((node) => ({ node, url: 'http://127.0.0.1:9' }))),
    CALLBACK_SECRET: '',
  })
  const { ingest } = system
  const base = Date.now()
  const acknowledged = new Map(names.map((node) => [node, 0]))
  const broken: unknown[] = []
  let sent = 0

  /** Sends one event after the other until nobody listens any more. */
  const send = async (node: string): Promise<void> => {
    for (;;) {
      sent += 1
      if (sent === 200) ingest.process.kill('SIGTERM')
      try {
        const { statusCode, body } = await request(`${ingest.url}/event/${node}`, {
          method: 'POST',
          body: JSON.stringify(lockEvent(node, new Date(base + sent).toISOString(), sent)),
        })
        await body.dump()
        if (statusCode === 204) acknowledged.set(node, (acknowledged.get(node) ?? 0) + 1)
        else broken.push(statusCode)
      } catch (error) {
        if (!isRefused(error)) broken.push(error)
        return
      }
    }
  }
  await Promise.all(Array.from({ length: 16 }, (_, sender) => send(names[sender % names.length] ?? '')))
  expect(await ingest.process.exit).toBe(0)

  expect(broken).toEqual([])
  const stored = await system.nodes()
  for (const [node, count] of acknowledged) {
    expect(count).toBeGreaterThan(0)
    expect(stored.find((one) => one.node === node)?.counters.received).toBeGreaterThanOrEqual(count)
  }
})

function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
}

test('SIGTERM in the middle of a poll: it ends in time with what it has asked for, and says what it left out', async () => {
  const [sound, hanging] = await listening(redHatV2(names[0]), redHatV2(names[1]))
  for (const publisher of [sound, hanging]) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([sound, hanging])
  await steady(system, hanging)
  await hanging.faults({ currentState: { all: 'hang' } })
  sound.setClock({ kind: 'gnss-sync-status', instance: 'ens5fx/master', state: 'SYNCHRONIZED', gpsFix: 3 })
  sound.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900, announce: 'never' })

  const ticking = tick(system.poll).catch(() => 'cut')
  await eventually(async () => {
    expect(shownOf(await system.node(sound))).toEqual(truthOf(sound))
  })
  expect(await system.poll.stop()).toBe(0)
  await ticking
  expect(await system.node(hanging)).toMatchObject({ overall: 'LOCKED' })

  const once = system.begin(['poll'])
  onTestFinished(() => once.kill('SIGKILL'))
  sound.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1, announce: 'never' })
  await eventually(async () => {
    expect(shownOf(await system.node(sound))).toEqual(truthOf(sound))
  })
  once.kill('SIGTERM')
  expect(await once.exit).toBe(1)
  expect(once.err()).toContain(hanging.node)
  expect(once.err()).not.toContain(`failed: ${sound.node}`)
})

function lockEvent(node: string, time: string, count: number): object {
  return {
    specversion: '1.0',
    id: `event-${count}`,
    source: '/sync/ptp-status/lock-state',
    type: 'event.sync.ptp-status.ptp-state-change',
    time,
    data: {
      version: '1.0',
      values: [
        {
          ResourceAddress: `/cluster/node/${node}/ens5fx/master`,
          data_type: 'notification',
          value_type: 'enumeration',
          value: count % 8 < 4 ? 'LOCKED' : 'HOLDOVER',
        },
      ],
    },
  }
}

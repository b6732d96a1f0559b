import { expect, test } from 'vitest'
import { createPoller } from '#functions/poll/poll.ts'
import { createPollMetrics } from '#functions/poll/metrics.ts'
import { createStarlingX } from '#local/publishers/index.ts'
import { createMetrics } from '#shared/metrics.ts'
import { defaultSettings as settings } from '#shared/state/merge/draft.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { systemClock as clock } from '#shared/time.ts'
import { startConsumer, using } from '../../publishers/support/consumer.ts'
import { createWorld, logTo } from '../../publishers/support/world.ts'

const NODE = 'controller-0'

/** A host whose clocks are LOCKED, polled once. */
async function startLocked(notificationFormat: 'standard' | 'legacy') {
  const instances = { ptp: ['ptp-inst1', 'ptp-inst2'] }
  const publisher = using(createStarlingX({ node: NODE, warmUpMs: 0, notificationFormat, instances }))
  await publisher.listen()
  for (const instance of instances.ptp) publisher.setClock({ kind: 'lock-state', instance, state: 'LOCKED' })
  publisher.setClock({ kind: 'os-clock-sync-state', state: 'LOCKED' }, { kind: 'clock-class', clockClass: 6 })
  publisher.setClock({ kind: 'gnss-sync-status', state: 'SYNCHRONIZED' })
  publisher.setClock({ kind: 'synce-lock-state', state: 'LOCKED' }, { kind: 'synce-clock-quality', ql: 2 })
  const consumer = await startConsumer()
  const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
  const { registry, reconciler, store } = createWorld({ targets: [target], callbackUrl: consumer.url })
  const poller = createPoller({
    ...{ registry, reconciler, store, clock, settings, concurrency: 1 },
    ...{ log: logTo([]), metrics: createPollMetrics(createMetrics()), newId: () => 'made' },
  })
  const signal = AbortSignal.timeout(60_000)
  const seen = async () => {
    const state = await store.read(NODE)
    if (state === undefined) throw new Error('no document')
    const log = await store.log(NODE, { after: 0, limit: 1_000 })
    return {
      overall: conditionOf(state, clock.now(), settings).overall,
      missed: state.counters.missed,
      changes: log.filter(({ type }) => type === 'changed').length,
      stored: state.clocks.map((one) => `${one.kind} ${one.instance} ${one.state}`),
    }
  }
  await poller.poll([target], { signal })
  return { publisher, consumer, target, poller, signal, seen }
}

test.each(['standard', 'legacy'] as const)(
  'polls while the service of StarlingX starts, whole and light, change nothing (%s)',
  async (format) => {
    const { publisher, target, poller, signal, seen } = await startLocked(format)
    const before = await seen()
    expect(before).toMatchObject({ overall: 'LOCKED', missed: 0 })
    await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
    for (let round = 0; round < 3; round += 1) {
      await poller.poll([target], { signal })
      await poller.round([target], { signal, everyMs: 1_000, random: () => 0 })
    }
    expect(await seen()).toEqual(before)
    publisher.becomeReady()
    await publisher.idle()
    await poller.poll([target], { signal })
    expect(await seen()).toEqual(before)
  },
)

test('subscriptions that are lost meanwhile are made again only once it has read its clocks, and its node is blind until then', async () => {
  const { publisher, consumer, target, poller, signal, seen } = await startLocked('standard')
  const before = await seen()
  publisher.forget()
  await publisher.restart({ warmUpMs: Number.POSITIVE_INFINITY })
  consumer.arrivals.length = 0
  const [waiting] = await poller.poll([target], { signal })
  expect(waiting?.problems.join()).toContain('start values')
  expect(consumer.arrivals).toEqual([])
  expect(await seen()).toMatchObject({ overall: 'UNKNOWN', missed: 0, changes: before.changes })
  publisher.becomeReady()
  expect(await poller.poll([target], { signal })).toMatchObject([{ node: NODE, problems: [] }])
  expect(await seen()).toMatchObject({ overall: 'LOCKED', missed: 0 })
  expect(publisher.subscriptions()).toHaveLength(7)
  expect(consumer.arrivals.some(({ body }) => body.includes('FREERUN'))).toBe(false)
})

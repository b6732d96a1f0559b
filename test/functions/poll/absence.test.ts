import { expect, test } from 'vitest'
import { createPoller } from '#functions/poll/poll.ts'
import { createPollMetrics } from '#functions/poll/metrics.ts'
import { createStarlingX } from '#local/publishers/index.ts'
import { createMetrics } from '#shared/metrics.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import { startConsumer, using } from '../../publishers/support/consumer.ts'
import { createWorld, logTo } from '../../publishers/support/world.ts'

const NODE = 'controller-0'
const settings: MergeSettings = {
  staleAfterMs: 180_000,
  settleMs: 5_000,
  reorderMs: 60_000,
  overallKinds: ['lock-state', 'os-clock-sync-state'],
}

test.each(['standard', 'legacy'] as const)(
  'a host without lock-state becomes LOCKED by its OS clock once polls have shown for long enough that it has none (%s)',
  async (format) => {
    const publisher = using(
      createStarlingX({ node: NODE, warmUpMs: 0, notificationFormat: format, instances: { ptp: [] } }),
    )
    await publisher.listen()
    publisher.setClock({ kind: 'os-clock-sync-state', state: 'LOCKED' })
    const consumer = await startConsumer()
    const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
    let now = Date.now()
    const clock = { now: () => now }
    const world = createWorld({ targets: [target], callbackUrl: consumer.url, clock })
    const { registry, reconciler, store } = world
    const poller = createPoller({
      registry,
      reconciler,
      store,
      clock,
      log: logTo([]),
      metrics: createPollMetrics(createMetrics()),
      newId: () => 'made',
      settings,
      concurrency: 1,
    })
    const overall = async () => {
      expect(await poller.poll([target], { signal: AbortSignal.timeout(30_000) })).toMatchObject([
        { node: NODE, problems: [] },
      ])
      const state = await store.read(NODE)
      if (state === undefined) throw new Error('no document')
      return conditionOf(state, now, settings).overall
    }
    expect(await overall()).toBe('UNKNOWN')
    for (let passed = 60_000; passed <= settings.staleAfterMs; passed += 60_000) {
      now += 60_000
      expect(await overall()).toBe('UNKNOWN')
    }
    now += 60_000
    expect(await overall()).toBe('LOCKED')
  },
)

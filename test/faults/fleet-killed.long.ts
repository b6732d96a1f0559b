import { expect, test } from 'vitest'
import { clocksIn, redHatV1, redHatV2, starlingX, steady } from '../e2e/support/publishers.ts'
import { listening, startSystem } from '../e2e/support/system.ts'
import { proveTruth, startLife } from './support/life.ts'
import { redisStore, sinkOfTest, sqliteStore } from './support/world.ts'

test.each([
  { name: 'SQLite', open: async () => sqliteStore() },
  { name: 'Redis', open: redisStore },
])(
  'kill -9 of ingest ($name) again and again under a fleet that is polled: in the end the store has the truth',
  async (row) => {
    const { env } = await row.open()
    const publishers = await listening(redHatV2('worker-0'), redHatV1('worker-1'), starlingX())
    for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
    const sink = await sinkOfTest()
    const system = await startSystem(publishers, { HISTORY_PER_NODE: '1000', K_SINK: sink.url, ...env })
    for (const publisher of publishers) await steady(system, publisher)

    const life = startLife(publishers, { everyMs: 100 })
    for (let times = 0; times < 4; times += 1) {
      await life.more(5)
      system.ingest.running.kill('SIGKILL')
      expect(await system.ingest.running.exit).toBe(null)
      // Nobody listens: publishers are refused, and some of them drop the subscription for that (protocol.md §4.2).
      await system.tick()
      await system.startIngest()
      await system.tick()
    }
    await life.more(5)
    await life.stop()
    // Counters of late events that had not been written went with the processes.
    await proveTruth(publishers, system, sink, { counted: false })
  },
)

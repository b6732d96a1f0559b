import { expect, test } from 'vitest'
import type { TestSink } from '../support/sink.ts'
import { NODES, openWorld, sqliteStore } from './support/world.ts'

/** Each makes the Broker fail, and gives the way to heal it. */
const FAULTS: readonly {
  readonly name: string
  begin(sink: TestSink): Promise<() => Promise<void> | void>
}[] = [
  {
    name: 'is down',
    async begin(sink) {
      await sink.down()
      return () => sink.up()
    },
  },
  {
    name: 'hangs until it is started again',
    async begin(sink) {
      sink.answer('hang')
      return async () => {
        await sink.down()
        sink.answer(202)
        await sink.up()
      }
    },
  },
]

test.each(FAULTS)(
  'a Broker that $name delays no answer, and gets everything when it is back',
  async ({ begin }) => {
    const world = await openWorld(sqliteStore())
    const heal = await begin(world.sink)
    await world.load.more(20 * NODES.length)
    await heal()
    await world.prove()
    expect(world.load.refused()).toEqual([])
  },
)

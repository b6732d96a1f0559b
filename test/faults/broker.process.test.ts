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
  ...[
    { name: 'answers 500', answer: 500 },
    { name: 'answers 429 and when to come again', answer: { status: 429, headers: { 'retry-after': '1' } } },
  ].map(({ name, answer }) => ({
    name,
    async begin(sink: TestSink) {
      sink.answer(answer)
      return () => sink.answer(202)
    },
  })),
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
    expect(world.load.sent.filter(({ outcome }) => outcome !== 204)).toEqual([])
  },
)

test('what a Broker refuses with 400 is set aside, and all that comes after it arrives', async () => {
  const world = await openWorld(sqliteStore())
  world.sink.answer(({ data }) => (data.seq % 5 === 0 ? 400 : 202))
  await world.load.more(20 * NODES.length)
  world.sink.answer(202)
  await world.prove()
  const refused = world.sink.arrivals.filter(({ status }) => status === 400)
  expect(refused.length).toBeGreaterThan(0)
  // Once is enough: it is not tried again.
  expect(new Set(refused.map(({ event }) => event.id)).size).toBe(refused.length)
})

import { expect, test } from 'vitest'
import { clocksIn, everyDialect, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { entriesOf } from './support/view.ts'

test.each(everyDialect)(
  '$name: a publisher that is gone makes its node stale and UNKNOWN, until it is back',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher], { STALE_AFTER_SECONDS: '2' })
    expect(await steady(system, publisher)).toMatchObject({ overall: 'LOCKED', stale: false })

    await publisher.faults({ refuse: true })
    await system.tick()
    const { publisher: gone } = await system.node(publisher)
    expect(gone).toMatchObject({ reachable: false, dialect: publisher.dialect })
    expect(gone?.problem).toMatch(/\S/)

    // Stale is worked out at every read; a poll logs it.
    const stale = await eventually(async () => {
      await system.tick()
      const node = await system.node(publisher)
      expect(entriesOf(node, 'stale')).toHaveLength(1)
      expect(node.resources.every((clock) => clock.stale)).toBe(true)
      return node
    })
    expect(stale).toMatchObject({ overall: 'UNKNOWN', stale: true, publisher: { reachable: false } })
    expect(entriesOf(stale, 'missed')).toEqual([])

    await publisher.faults({ refuse: false })
    await system.tick()
    const back = await system.node(publisher)
    expect(back).toMatchObject({ overall: 'LOCKED', stale: false, publisher: { reachable: true } })
    expect(back.publisher?.problem).toBeUndefined()
    expect(entriesOf(back, 'recovered')).toHaveLength(1)
    expect(entriesOf(back, 'changed')).toEqual(entriesOf(stale, 'changed'))
  },
)

test('a FREERUN of a node that is gone stands: it is not made better by silence', async () => {
  const [dialect] = everyDialect
  if (dialect === undefined) throw new Error('There are no dialects')
  const [publisher] = await listening(dialect.create())
  publisher.setClock(...clocksIn('FREERUN'))
  const system = await startSystem([publisher], { STALE_AFTER_SECONDS: '1' })
  await system.tick()
  await publisher.faults({ refuse: true })
  await eventually(async () => {
    expect(await system.node(publisher)).toMatchObject({ overall: 'FREERUN', stale: true })
  })
})

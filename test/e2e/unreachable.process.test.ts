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

test.each(everyDialect)(
  '$name: a publisher that two polls in a row do not reach makes its node UNKNOWN at once, though it is not stale',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher], { SETTLE_SECONDS: '0.2' })
    await steady(system, publisher)
    await publisher.faults({ refuse: true })
    await system.tick()
    expect(await system.node(publisher)).toMatchObject({ overall: 'LOCKED', blind: false })
    const blind = await eventually(async () => {
      await system.tick()
      const node = await system.node(publisher)
      expect(node).toMatchObject({ overall: 'UNKNOWN', stale: false, blind: true })
      return node
    })
    expect(entriesOf(blind, 'blind')).toHaveLength(1)
    await publisher.faults({ refuse: false })
    await system.tick()
    expect(await system.node(publisher)).toMatchObject({ overall: 'LOCKED', blind: false })
  },
)

test('a publisher that dropped our subscriptions while ingest is away can be asked nothing: UNKNOWN at once', async () => {
  const dialect = everyDialect.find(({ name }) => name === 'v2')
  if (dialect === undefined) throw new Error('There is no publisher of version 2')
  const [publisher] = await listening(dialect.create())
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher])
  await steady(system, publisher)
  await system.stopIngest()
  publisher.forget()
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
  await system.run(['poll'])
  expect(await system.node(publisher)).toMatchObject({ overall: 'UNKNOWN', stale: false, blind: true })
})

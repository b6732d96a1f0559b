import { expect, test } from 'vitest'
import { clocksIn, forEach, oneOfEach, redHatV2, steady } from './support/publishers.ts'
import type { Env } from '../runtime/processes.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { entriesOf } from './support/view.ts'

/** The functions over a publisher of each dialect, all in lock, and subscribed. */
async function started(env: Env) {
  const publishers = await listening(...oneOfEach())
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers, env)
  for (const publisher of publishers) await steady(system, publisher)
  const refuse = (refuse: boolean) => forEach(publishers, (publisher) => publisher.faults({ refuse }))
  return { publishers, system, refuse }
}

test('a publisher that is gone makes its node stale and UNKNOWN, until it is back', async () => {
  const { publishers, system, refuse } = await started({ STALE_AFTER_SECONDS: '10' })
  await system.tick()
  await forEach(publishers, async (publisher) =>
    expect(await system.node(publisher)).toMatchObject({ overall: 'LOCKED', stale: false }),
  )
  await refuse(true)
  await system.tick().catch(() => {})
  await forEach(publishers, async (publisher) => {
    const { publisher: gone } = await system.node(publisher)
    expect(gone).toMatchObject({ reachable: false, dialect: publisher.dialect })
    expect(gone?.problem).toMatch(/\S/)
  })

  // Stale is worked out at every read; a poll logs it.
  const stale = await eventually(async () => {
    await system.tick()
    const nodes = await Promise.all(publishers.map((publisher) => system.node(publisher)))
    for (const node of nodes) {
      expect(entriesOf(node, 'stale')).toHaveLength(1)
      expect(node.resources.every((clock) => clock.stale)).toBe(true)
    }
    return nodes
  })
  for (const node of stale) {
    expect(node).toMatchObject({ overall: 'UNKNOWN', stale: true, publisher: { reachable: false } })
    expect(entriesOf(node, 'missed')).toEqual([])
  }

  await refuse(false)
  await system.tick()
  await forEach(publishers, async (publisher) => {
    const back = await system.node(publisher)
    const before = stale.find(({ node }) => node === publisher.node)
    expect(back).toMatchObject({ overall: 'LOCKED', stale: false, publisher: { reachable: true } })
    expect(back.publisher?.problem).toBeUndefined()
    expect(entriesOf(back, 'recovered')).toHaveLength(1)
    expect(entriesOf(back, 'changed')).toEqual(before && entriesOf(before, 'changed'))
  })
})

test('a publisher that two polls in a row do not reach makes its node UNKNOWN at once, though it is not stale', async () => {
  const { publishers, system, refuse } = await started({ SETTLE_SECONDS: '0.2' })
  await refuse(true)
  await system.tick()
  await forEach(publishers, async (publisher) =>
    expect(await system.node(publisher)).toMatchObject({ overall: 'LOCKED', blind: false }),
  )
  await eventually(async () => {
    await system.tick()
    await forEach(publishers, async (publisher) => {
      const node = await system.node(publisher)
      expect(node).toMatchObject({ overall: 'UNKNOWN', stale: false, blind: true })
      expect(entriesOf(node, 'blind')).toHaveLength(1)
    })
  })
  await refuse(false)
  await system.tick()
  await forEach(publishers, async (publisher) =>
    expect(await system.node(publisher)).toMatchObject({ overall: 'LOCKED', blind: false }),
  )
})

test('a publisher that dropped our subscriptions while ingest is away can be asked nothing: UNKNOWN at once', async () => {
  const [publisher] = await listening(redHatV2())
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher])
  await steady(system, publisher)
  await system.stopIngest()
  publisher.forget()
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
  await system.run(['poll'])
  expect(await system.node(publisher)).toMatchObject({ overall: 'UNKNOWN', stale: false, blind: true })
})

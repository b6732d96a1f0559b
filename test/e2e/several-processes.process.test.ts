import { expect, test } from 'vitest'
import { clocksIn, redHatV1, redHatV2, starlingX } from './support/publishers.ts'
import { listening, serve, startSystem, tick } from './support/system.ts'
import { shownOf, truthOf } from './support/truth.ts'

test('subscribe and two polls at the same moment leave one subscription for each resource', async () => {
  const publishers = await listening(redHatV2('worker-0'), redHatV1('worker-1'), starlingX())
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers)
  const second = await serve(['poll', '--serve'], system.env)

  await Promise.all([system.run(['subscribe']), tick(system.poll), tick(second)])
  // Whatever they did to each other, the next poll finds and mends.
  await system.tick()
  await system.tick()
  for (const publisher of publishers) {
    const resources = publisher.subscriptions().map(({ resource }) => resource)
    expect(new Set(resources).size).toBe(resources.length)
    const node = await system.node(publisher)
    expect(node.subscriptions.map(({ id }) => id).toSorted()).toEqual(
      publisher
        .subscriptions()
        .map(({ id }) => id)
        .toSorted(),
    )
    expect(node.overall).toBe('LOCKED')
    expect(shownOf(node)).toEqual(truthOf(publisher))
    expect(node.log?.filter(({ type }) => type === 'missed')).toEqual([])
  }
})

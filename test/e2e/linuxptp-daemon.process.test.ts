import { expect, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { freePort } from '../support/free-port.ts'
import { clocksIn, linuxptpDaemon, redHatV2, steady } from './support/publishers.ts'
import { listening, startSystem } from './support/system.ts'
import { shownOf, truthOf } from './support/truth.ts'
import { clockOf, entriesOf } from './support/view.ts'

const first = { kind: 'lock-state', instance: 'ens2f0/master' } as const
const second = { kind: 'lock-state', instance: 'ens3f0/master' } as const

async function withTwoInterfaces() {
  const [publisher] = await listening(linuxptpDaemon())
  publisher.setClock({ ...first, state: 'LOCKED', offset: 1 }, { ...second, state: 'LOCKED', offset: 1 })
  publisher.setClock({ kind: 'os-clock-sync-state', state: 'LOCKED', offset: 2 })
  const system = await startSystem([publisher])
  await steady(system, publisher)
  return { publisher, system }
}

test('a push that repeats an unchanged interface with the time of the one that changed makes one transition', async () => {
  const { publisher, system } = await withTwoInterfaces()
  publisher.setClock({ ...second, state: 'HOLDOVER', offset: 9 })
  await publisher.idle()
  const node = await system.node(publisher)
  expect(shownOf(node)).toEqual(truthOf(publisher))
  const changes = entriesOf(node, 'changed', 'lock-state').filter(({ from }) => from !== undefined)
  expect(changes).toMatchObject([{ instance: 'ens3f0/master', from: 'LOCKED', to: 'HOLDOVER', via: 'push' }])
})

test('the snapshot of a restart, in no order and with old times, changes nothing and does not count as a clock step', async () => {
  const { publisher, system } = await withTwoInterfaces()
  publisher.setClock({ ...first, state: 'FREERUN', offset: 9_999 })
  await publisher.idle()
  const before = await system.node(publisher)
  await publisher.restart({ warmUpMs: 3_600_000 })
  // A poll creates the subscriptions again, so that the snapshot reaches us.
  await system.tick()
  expect(publisher.subscriptions()).toHaveLength(7)
  publisher.becomeReady()
  await publisher.idle()
  const node = await system.node(publisher)
  expect(shownOf(node)).toEqual(truthOf(publisher))
  expect(clockOf(node, 'lock-state', 'ens2f0/master').since).toBe(
    clockOf(before, 'lock-state', 'ens2f0/master').since,
  )
  expect(entriesOf(node, 'changed')).toEqual(entriesOf(before, 'changed'))
  expect(node.counters).toMatchObject({ missed: 0, clockSteps: 0, quarantined: 0 })
})

test('a node whose proxy gives way to the daemon keeps one clock of each kind', async () => {
  const port = await freePort()
  const begun = async (publisher: Publisher) => {
    await listening(publisher)
    publisher.setClock(...clocksIn('LOCKED'))
    return publisher
  }
  const proxy = await begun(redHatV2(undefined, { port }))
  const system = await startSystem([proxy])
  await steady(system, proxy)
  await proxy.close()

  const daemon = await begun(linuxptpDaemon(undefined, { port }))
  const node = await steady(system, daemon)
  expect(node.overall).toBe('LOCKED')
  expect(node.resources.map(({ kind }) => kind).toSorted()).toEqual([
    'clock-class',
    'lock-state',
    'os-clock-sync-state',
    'sync-state',
  ])
  daemon.setClock({ kind: 'clock-class', clockClass: 248 })
  await daemon.idle()
  expect(clockOf(await system.node(daemon), 'clock-class').metrics.clockClass).toBe('248')
})

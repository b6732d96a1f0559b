import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { acceptedTimes, clocksIn, redHatV1, redHatV2, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { clockOf, entriesOf } from './support/view.ts'

/** Another writer that keeps the store to itself until it lets go; reading goes on. */
function holdStore(stateUrl = ''): { letGo(): void } {
  const db = new DatabaseSync(stateUrl.replace(/^sqlite:/, ''))
  onTestFinished(() => {
    if (db.isOpen) db.close()
  })
  db.exec('BEGIN IMMEDIATE')
  return {
    letGo() {
      db.exec('COMMIT')
      db.close()
    },
  }
}

test.each([
  { name: 'v2', create: redHatV2 },
  { name: 'v1', create: redHatV1 },
])(
  '$name: what comes in while the store cannot be written is refused in time, and is in it as soon as it can',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher])
    await steady(system, publisher)
    const held = publisher.subscriptions()
    const earlier = publisher.deliveries.length

    const store = holdStore(system.env.STATE_URL)
    publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
    await publisher.idle()
    const refused = publisher.deliveries.slice(earlier)
    // An answer in time: a time-out would count towards losing the subscription (protocol.md §4.2).
    expect(new Set(refused.map(({ outcome }) => outcome))).toEqual(new Set([503]))
    expect((await system.node(publisher)).overall).toBe('LOCKED')
    store.letGo()

    const written = await eventually(async () => {
      const node = await system.node(publisher)
      expect(clockOf(node, 'lock-state').state).toBe('FREERUN')
      return node
    })
    expect(written.overall).toBe('FREERUN')
    const changes = entriesOf(written, 'changed', 'lock-state').filter(({ via }) => via === 'push')
    expect(changes.map(({ to }) => to)).toEqual(['HOLDOVER', 'FREERUN'])
    expect(changes.map(({ at }) => at)).toEqual(timesOf(refused, 'lock-state'))
    expect(publisher.subscriptions()).toEqual(held)

    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
    await publisher.idle()
    expect(clockOf(await system.node(publisher), 'lock-state')).toMatchObject({
      state: 'LOCKED',
      since: acceptedTimes(publisher, 'lock-state', 'LOCKED').at(-1),
    })
  },
)

test('SIGTERM while events wait for the store: ingest ends only when they are in it', async () => {
  const [publisher] = await listening(redHatV2())
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher])
  await steady(system, publisher)

  const store = holdStore(system.env.STATE_URL)
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  await publisher.idle()
  const ended = system.stopIngest()
  await system.ingest.process.until(/"message":"draining"/)
  store.letGo()
  expect(await ended).toBe(0)
  expect((await system.node(publisher)).overall).toBe('FREERUN')
})

function timesOf(calls: readonly { readonly body: string | null }[], content: string): string[] {
  return calls
    .filter(({ body }) => body?.includes(`ptp-status/${content}`))
    .map(({ body }) => /"time":"([^"]+)"/.exec(body ?? '')?.[1] ?? '')
}

import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { createRandom } from '#local/life/random.ts'
import { acceptedTimes, clocksIn, redHatV2, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { entriesOf, nanoseconds, type View } from './support/view.ts'

const WORDS = ['LOCKED', 'HOLDOVER', 'FREERUN'] as const
const ROUNDS = 6

/** What was called missed though a push that says it, of a time between its bounds, got its 204. */
function wronglyMissed(publisher: Publisher, node: View): object[] {
  return entriesOf(node, 'missed', 'lock-state').filter(({ to = '', notBefore = '', notAfter = '' }) =>
    acceptedTimes(publisher, 'ptp-state-change', `"${to}"`).some(
      (time) => nanoseconds(time) > nanoseconds(notBefore) && nanoseconds(time) <= nanoseconds(notAfter),
    ),
  )
}

test('no push that was acknowledged while subscriptions are made is called missed, also where their making is killed', async () => {
  const names = ['a', 'b', 'c', 'd'].map((name) => `${name}.site-a.example.com`)
  const publishers = await listening(...names.map((name) => redHatV2(name)))
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers)
  for (const publisher of publishers) await steady(system, publisher)

  const random = createRandom(11)
  let changes = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const publisher of publishers) publisher.forget()
    const subscribing = system.begin(['subscribe'])
    if (round % 3 === 0) setTimeout(() => subscribing.kill('SIGKILL'), random.between(350, 700))
    const changing = publishers.map(async (publisher) => {
      // As soon as there is the subscription to this clock, while others are being made.
      await eventually(() => expect(publisher.subscriptions().length).toBeGreaterThan(0)).catch(() => {})
      await pause(random.between(0, 10))
      changes += 1
      const state = WORDS[changes % WORDS.length] ?? 'LOCKED'
      publisher.setClock({ kind: 'lock-state', state, offset: changes })
    })
    await subscribing.exit
    if (round % 3 === 0) await system.tick()
    await Promise.all(changing)
    await Promise.all(publishers.map((publisher) => publisher.idle()))
    // Two polls a settle time apart find all that was missed.
    for (let poll = 0; poll < 2; poll += 1) {
      await system.tick()
      await pause(250)
    }
  }
  await system.tick()
  for (const publisher of publishers) {
    const node = await steady(system, publisher)
    expect(acceptedTimes(publisher, 'ptp-state-change').length).toBeGreaterThan(0)
    expect(wronglyMissed(publisher, node), JSON.stringify(node.log)).toEqual([])
  }
})

import { expect, onTestFinished, test } from 'vitest'
import { clocksIn, redHatV2, steady } from './support/publishers.ts'
import { eventually, listening, startSystem, tick } from './support/system.ts'
import { shownOf, truthOf } from './support/truth.ts'

const names = ['worker-0', 'worker-1', 'worker-2', 'worker-3'].map((name) => `${name}.site-a.example.com`)

test('SIGTERM in the middle of a poll: it ends in time with what it has asked for, and says what it left out', async () => {
  const [sound, hanging] = await listening(redHatV2(names[0]), redHatV2(names[1]))
  for (const publisher of [sound, hanging]) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([sound, hanging])
  await steady(system, hanging)
  await hanging.faults({ currentState: { all: 'hang' } })
  sound.setClock({ kind: 'gnss-sync-status', instance: 'ens5fx/master', state: 'SYNCHRONIZED', gpsFix: 3 })
  sound.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900, announce: 'never' })

  const ticking = tick(system.poll).catch(() => 'cut')
  await eventually(async () => {
    expect(shownOf(await system.node(sound))).toEqual(truthOf(sound))
  })
  expect(await system.poll.stop()).toBe(0)
  await ticking
  expect(await system.node(hanging)).toMatchObject({ overall: 'LOCKED' })

  const once = system.begin(['poll'])
  onTestFinished(() => once.kill('SIGKILL'))
  sound.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1, announce: 'never' })
  await eventually(async () => {
    expect(shownOf(await system.node(sound))).toEqual(truthOf(sound))
  })
  once.kill('SIGTERM')
  expect(await once.exit).toBe(1)
  expect(once.err()).toContain(hanging.node)
  expect(once.err()).not.toContain(`failed: ${sound.node}`)
})

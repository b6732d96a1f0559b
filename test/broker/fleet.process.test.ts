import { expect, test } from 'vitest'
import { clocksIn, redHatV2, steady } from '../e2e/support/publishers.ts'
import { eventually, listening, startSystem } from '../e2e/support/system.ts'
import { openSink } from './world.ts'

test('what a fleet lives through arrives at the sink: by push, by poll, and what subscribe restored', async () => {
  const sink = await openSink()
  const publisher = redHatV2()
  await listening(publisher)
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher], { K_SINK: sink.url, SINK_TOKEN_FILE: '/none' })
  await steady(system, publisher)

  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  await sink.until((now) =>
    now.taken().some(({ state, kind }) => kind === 'lock-state' && state === 'FREERUN'),
  )
  publisher.forget()
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
  await publisher.idle()
  expect(await system.run(['subscribe'])).toMatchObject({ code: 0 })
  await sink.until((now) => now.taken().some(({ type }) => type === 'ptpwatch.subscription.restored.v1'))
  await system.tick()
  await eventually(async () => {
    const { log = [] } = await system.node(publisher)
    expect(sink.taken().map(({ data }) => data)).toEqual(
      log.map((entry) => ({ node: publisher.node, ...entry })),
    )
  })
  const polled = sink.taken().find(({ state }) => state === 'HOLDOVER')
  expect(polled?.data.via).toMatch(/^(poll|initial)$/)
})

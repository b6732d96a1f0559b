import { request } from 'undici'
import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { clocksIn, redHatV2, steady } from '../e2e/support/publishers.ts'
import { eventually, listening, SECRET, startSystem } from '../e2e/support/system.ts'
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

test('our own event that comes back through a Broker is taken and goes nowhere', async () => {
  const sink = await openSink()
  const publisher = redHatV2()
  await listening(publisher)
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher], { K_SINK: sink.url, SINK_TOKEN_FILE: '/none' })
  await steady(system, publisher)
  await sink.until((now) => now.taken().length > 0)
  const before = await system.node(publisher)
  const { url } = system.ingest
  const { brokerToken } = createCallback({ url, secrets: [SECRET] })
  for (const { body, headers } of sink.arrivals) {
    const answer = await request(`${url}/cloudevents/${brokerToken}`, {
      method: 'POST',
      headers: { 'content-type': headers['content-type'] ?? '' },
      body,
    })
    expect([answer.statusCode, await answer.body.text()]).toEqual([202, ''])
  }
  expect((await system.node(publisher)).log).toEqual(before.log)
})

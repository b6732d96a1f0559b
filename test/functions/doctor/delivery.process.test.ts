import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createServer } from 'node:http'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { eventually, listening } from '../../e2e/support/system.ts'
import { folder } from '../../publishers/support/folder.ts'
import { listen } from '../../publishers/support/listen.ts'
import { entriesOf, examine, startPublishers, startWatched } from './world.ts'

test('with ingest gone no publisher can deliver: each is said not to, and nothing is left behind', async () => {
  const publishers = await startPublishers()
  const system = await startWatched(publishers)
  const held = publishers.map((publisher) => publisher.subscriptions())
  await system.stopIngest()
  const { code, one } = await examine(system)
  expect(code).toBe(1)
  expect(one('ingest')).toMatchObject({
    status: 'warning',
    result: expect.stringContaining('ECONNREFUSED'),
  })
  for (const publisher of publishers) {
    const found = one('callback', publisher)
    expect(found).toMatchObject({
      status: 'failed',
      result: expect.stringMatching(/^the publisher cannot deliver: /),
    })
    expect(found.fix).toMatch(/^Check that ingest runs with the same CALLBACK_SECRET\./)
  }
  expect(publishers.map((publisher) => publisher.subscriptions())).toEqual(held)

  await system.startIngest()
  expect((await examine(system)).code).toBe(0)
})

test('a stuck sidecar is told by what it says and does not send, with how to unstick it', async () => {
  const [v1] = await listening(
    createRedHatV1({ node: 'worker-1', release: '4.14', warmUpMs: 0, hopTimeoutMs: 50, metricsPort: 0 }),
  )
  v1.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 1 }, { kind: 'clock-class', clockClass: 6 })
  const system = await startWatched([v1])
  v1.setClock({ kind: 'clock-class', clockClass: 7 })
  await eventually(async () => {
    expect((await system.node(v1)).counters.received).toBe(1)
  })
  await v1.faults({ stuck: true })
  v1.setClock({ kind: 'clock-class', clockClass: 248 })
  await v1.idle()

  const { code, one } = await examine(system)
  expect(code).toBe(1)
  expect(one('events', v1)).toMatchObject({
    status: 'failed',
    result: expect.stringMatching(
      /^clock-class ens5fx\/master is 248, in the store 7; the newest event arrived /,
    ),
    fix: expect.stringMatching(
      /^Most likely the sidecar is stuck: .* Run `ptp-watch poll` twice, which unsticks it/,
    ),
  })
  expect(one('callback', v1).status).toBe('ok')
  expect(one('metrics', v1)).toMatchObject({
    status: 'warning',
    result: expect.stringContaining('publisher: delivered 1, over its transport 2'),
  })

  // As it is told to.
  await system.tick()
  await eventually(async () => {
    await system.tick()
    expect((await examine(system)).one('events', v1).status).toBe('ok')
  })
})

test('a clock that is hours off is wrong, one that is seconds off is a warning, in every dialect', async () => {
  const publishers = await startPublishers()
  const [v2, v1, starlingX] = publishers
  const system = await startWatched(publishers)
  await v2.faults({ clockOffsetMs: -7_200_000 })
  await v1.faults({ clockOffsetMs: 10_000 })
  await starlingX.faults({ clockOffsetMs: 10_800_000 })
  const { code, one } = await examine(system)
  expect(code).toBe(1)
  expect(one('clock', v2)).toMatchObject({
    status: 'failed',
    result: 'it is 2.0 h behind ours, by the time of CurrentState',
  })
  expect(one('clock', v1)).toMatchObject({
    status: 'warning',
    result: expect.stringMatching(/^it is \d+\.\d s ahead of ours, by /),
  })
  expect(one('clock', starlingX)).toMatchObject({
    status: 'failed',
    result: 'it is 3.0 h ahead of ours, by the Date of its answer',
  })
})

test('metrics are compared where they are shown, and are no fault where they are not', async () => {
  const [v2, v1] = await startPublishers()
  const system = await startWatched([v2, v1])
  v2.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
  await v2.idle()
  await eventually(async () => expect((await system.node(v2)).counters.received).toBe(5))
  const shown = await examine(system)
  expect(shown.code).toBe(0)
  const [, , ...others] = shown.one('metrics', v2).result.split('; ')
  expect(others).toEqual([])
  expect(shown.one('metrics', v2)).toMatchObject({ status: 'ok' })
  expect(shown.one('metrics', v2).result).toMatch(
    /^publisher: delivered 1, subscriptions 7; ours: received 5, .*\. Ours also count initial notifications/,
  )

  // Deliveries that fail are ours where nobody else is subscribed.
  await system.stopIngest()
  v2.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  await v2.idle()
  await system.startIngest()
  await system.tick()
  const failing = await examine(system)
  expect(failing.one('metrics', v2)).toMatchObject({
    status: 'warning',
    result: expect.stringContaining('delivered 1, failed 1'),
  })

  const hidden = await listen(createServer((_, response) => response.writeHead(404).end()))
  const entries = entriesOf([v2, v1]).map((entry, index) => ({
    ...entry,
    metrics: index === 0 ? `${hidden}/metrics` : 'http://127.0.0.1:1/metrics',
  }))
  const absent = await examine(system, { PUBLISHERS: JSON.stringify(entries) })
  expect(absent.code).toBe(0)
  expect(absent.one('metrics', v2)).toMatchObject({
    status: 'skipped',
    result: `GET ${hidden}/metrics answered 404`,
  })
  expect(absent.one('metrics', v1)).toMatchObject({
    status: 'skipped',
    result: expect.stringContaining('ECONNREFUSED'),
    fix: expect.stringMatching(/^For information only/),
  })
})

test('a wrong secret, store, sink or node of ours is found, and publishers are looked at all the same', async () => {
  const [v2] = await startPublishers()
  const system = await startWatched([v2])
  const secret = await examine(system, { CALLBACK_SECRET: 'another secret than that of ingest' })
  expect(secret.code).toBe(1)
  expect(secret.one('ingest')).toMatchObject({
    status: 'failed',
    result: expect.stringContaining('answered 403'),
    fix: expect.stringContaining('CALLBACK_SECRET'),
  })
  expect(secret.one('callback', v2).status).toBe('failed')
  expect(secret.one('subscriptions', v2).result).toMatch(
    /with the current CALLBACK_URL and CALLBACK_SECRET, missing: /,
  )

  const STATE_URL = `sqlite:${join(await folder(), 'another.db')}`
  const elsewhere = await examine(system, { STATE_URL }, ['--node', v2.node])
  expect(elsewhere.code).toBe(1)
  expect(elsewhere.one('callback', v2)).toMatchObject({
    status: 'failed',
    result: 'the publisher posted an initial notification and got 204, but this store did not receive it',
    fix: expect.stringContaining('STATE_URL'),
  })
  expect(elsewhere.one('events', v2)).toMatchObject({
    status: 'warning',
    result: 'the store does not know this node',
  })
  const memory = await examine(system, { STATE_URL: 'memory:' }, ['--node', v2.node])
  expect(memory.code).toBe(0)
  expect(memory.one('callback', v2)).toMatchObject({
    status: 'warning',
    fix: expect.stringContaining('STATE_URL'),
  })

  const closed = await examine(system, { STATE_URL: 'sqlite:/dev/null/state.db' })
  expect(closed.code).toBe(1)
  expect(closed.one('store').status).toBe('failed')
  expect(closed.one('subscriptions', v2).status).toBe('ok')
  expect(closed.one('callback', v2).status).toBe('skipped')

  const missing = await listen(createServer((_, response) => response.writeHead(404).end()))
  const away = await examine(system, { K_SINK: 'http://127.0.0.1:1/default' })
  expect(away.code).toBe(1)
  expect(away.one('sink')).toMatchObject({
    status: 'failed',
    result: expect.stringContaining('ECONNREFUSED'),
  })
  const wrong = await examine(system, { K_SINK: `${missing}/default?key=secret` })
  expect(wrong.code).toBe(0)
  expect(wrong.one('sink')).toMatchObject({
    status: 'warning',
    result: `OPTIONS ${missing}/default?*** answered 404`,
  })

  const unlisted = await examine(system, {}, ['--node', `${v2.node},worker-77`])
  expect(unlisted.code).toBe(2)
  expect(unlisted.err).toContain('PUBLISHERS has no node worker-77')
})

import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createRedHatV1, createRedHatV2 } from '#local/publishers/index.ts'
import { createCallback } from '#shared/callback.ts'
import { lockedNode } from '../../functions/fleet.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { listen } from '../support/listen.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'worker-0.site-a.example.com'
const LOCK = `/cluster/node/${NODE}/sync/ptp-status/lock-state`
const NEW = 'the new secret of the callback'
const OLD = 'the old secret of the callback'

async function started(
  options: {
    warmUpMs?: number
    release?: 'main' | '4.18'
    node?: string
    secrets?: string[]
    kinds?: string[]
  } = {},
) {
  const { warmUpMs = 0, release = 'main', node = NODE, ...rest } = options
  const publisher = using(createRedHatV2({ node: NODE, release, warmUpMs }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = { node, url: publisher.url, dialect: 'auto' } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url, ...rest })
  return { publisher, consumer, target, world, client: await world.registry.client(target) }
}

test('a publisher that holds nothing of ours is given every wanted subscription, and they are on record', async () => {
  const { publisher, consumer, target, world } = await started()

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', dialect: 'red-hat-v2', problems: [] })
  expect(publisher.subscriptions().map(({ endpoint }) => endpoint)).toEqual(
    Array.from({ length: 7 }, () => `${consumer.url}/event/${NODE}`),
  )
  const state = await world.store.read(NODE)
  expect(state?.subscriptions.map(({ id }) => id).toSorted()).toEqual(
    publisher
      .subscriptions()
      .map(({ id }) => id)
      .toSorted(),
  )
  expect(state?.publisher).toMatchObject({ url: publisher.url, dialect: 'red-hat-v2', reachable: true })
  expect(await world.store.log(NODE, { after: 0, limit: 10 })).toEqual([])
})

test('a second run changes nothing', async () => {
  const { publisher, target, world } = await started()
  await world.reconciler.reconcile(target)
  const before = publisher.subscriptions()
  const state = await world.store.read(NODE)

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', applied: { created: [], adopted: [], removed: 0 } })
  expect(publisher.subscriptions()).toEqual(before)
  expect(await world.store.read(NODE)).toEqual(state)
})

test('while a create is under way the node has it as pending, and no longer than that', async () => {
  const { consumer, target, world } = await started({ kinds: ['lock-state', 'clock-class'] })
  const pending: string[][] = []
  consumer.answer(async () => {
    pending.push((await world.store.read(NODE))?.pending.map(({ kind }) => kind) ?? [])
    return 204
  })
  await world.reconciler.reconcile(target)
  expect(pending).toEqual([['lock-state'], ['clock-class']])
  expect((await world.store.read(NODE))?.pending).toEqual([])
})

test('a create that got no answer stays pending, since its initial notification may still come', async () => {
  const { consumer, target, world } = await started({ kinds: ['lock-state'] })
  const controller = new AbortController()
  consumer.answer(() => {
    controller.abort()
    return 204
  })
  const kept = await world.reconciler.reconcile(target, { signal: controller.signal })
  expect(kept.outcome).toBe('failed')
  expect((await world.store.read(NODE))?.pending).toMatchObject([{ kind: 'lock-state' }])
})

test('subscriptions that the publisher dropped are made anew and logged as restored, with their bounds', async () => {
  const { publisher, target, world } = await started({ kinds: ['lock-state', 'clock-class'] })
  await world.reconciler.reconcile(target)
  const before = await world.store.read(NODE)
  publisher.forget()

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', applied: { restored: ['lock-state', 'clock-class'] } })
  expect(publisher.subscriptions()).toHaveLength(2)
  const log = await world.store.log(NODE, { after: 0, limit: 10 })
  expect(log).toMatchObject([
    {
      type: 'restored',
      kind: 'lock-state',
      via: 'poll',
      notBefore: before?.subscriptions[0]?.confirmedAt,
      overall: 'UNKNOWN',
    },
    { type: 'restored', kind: 'clock-class', via: 'poll' },
  ])
  expect(world.metrics.text()).toContain('ptp_watch_subscriptions_total{action="restored"} 2')
})

test('a subscription that is made later for a kind that was never there is not restored', async () => {
  const { publisher, consumer, target, world } = await started({ kinds: ['lock-state'] })
  await world.reconciler.reconcile(target)
  const more = createWorld({ targets: [target], callbackUrl: consumer.url, store: world.store })
  const kept = await more.reconciler.reconcile(target)
  expect(kept.applied?.restored).toEqual([])
  expect(publisher.subscriptions()).toHaveLength(7)
})

test("what others hold is untouched when ours are made, restored and removed, and 'delete all' is never sent", async () => {
  const { publisher, consumer, target, world, client } = await started()
  await client.create({ address: LOCK, endpoint: `${consumer.url}/foreign` })
  await client.create({ address: LOCK, endpoint: `${consumer.url}/event2/${NODE}` })
  const foreign = publisher.subscriptions()

  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'ok', foreign: 2 })
  expect(publisher.subscriptions()).toEqual(expect.arrayContaining([...foreign]))
  const removed = await world.reconciler.remove(target)

  expect(removed).toMatchObject({ outcome: 'ok', applied: { removed: 7 }, foreign: 2 })
  expect(publisher.subscriptions()).toEqual(foreign)
  expect((await world.store.read(NODE))?.subscriptions).toEqual([])
})

test('ours that somebody made before are adopted', async () => {
  const { publisher, consumer, target, world, client } = await started({ kinds: ['lock-state'] })
  await client.create({ address: LOCK, endpoint: `${consumer.url}/event/${NODE}` })
  const kept = await world.reconciler.reconcile(target)
  expect(kept.applied).toMatchObject({ adopted: ['lock-state'], created: [], restored: [] })
  expect((await world.store.read(NODE))?.subscriptions.map(({ id }) => id)).toEqual(
    publisher.subscriptions().map(({ id }) => id),
  )
})

test('two reconcilers at once do not fail, and the next run leaves one subscription of each kind', async () => {
  const { publisher, consumer, target, world } = await started()
  const other = createWorld({ targets: [target], callbackUrl: consumer.url, store: world.store })
  const both = await Promise.all([world.reconciler.reconcile(target), other.reconciler.reconcile(target)])
  expect(both.map(({ outcome, problems }) => [outcome, problems])).toEqual([
    ['ok', []],
    ['ok', []],
  ])
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', applied: { restored: [] } })
  expect(publisher.subscriptions()).toHaveLength(7)
  expect((await world.store.read(NODE))?.subscriptions.map(({ id }) => id).toSorted()).toEqual(
    publisher
      .subscriptions()
      .map(({ id }) => id)
      .toSorted(),
  )
})

test('a 409 is adopted from the list, by address and endpoint', async () => {
  const asked: string[] = []
  let endpoint = ''
  const url = await listen(
    createServer((request, response) => {
      asked.push(`${request.method} ${request.url?.replace('/api/ocloudNotifications/v2', '')}`)
      const list = [
        {
          SubscriptionId: 'foreign',
          ResourceAddress: LOCK,
          EndpointUri: 'http://other/event',
          UriLocation: '',
        },
        { SubscriptionId: 'other', ResourceAddress: `${LOCK}x`, EndpointUri: endpoint, UriLocation: '' },
        { SubscriptionId: 'ours', ResourceAddress: LOCK, EndpointUri: endpoint, UriLocation: '' },
      ]
      if (request.url?.endsWith('/publishers')) response.end(JSON.stringify([{ ResourceAddress: LOCK }]))
      else if (request.method === 'POST') response.writeHead(409).end()
      else response.end(JSON.stringify(asked.length < 4 ? null : list))
    }),
  )
  const target = { node: NODE, url, dialect: 'red-hat-v2' } as const
  const world = createWorld({ targets: [target], callbackUrl: 'http://ingest', kinds: ['lock-state'] })
  endpoint = world.callback.endpointFor(NODE)

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', applied: { adopted: ['lock-state'], removed: 0 } })
  expect((await world.store.read(NODE))?.subscriptions).toMatchObject([{ id: 'ours', kind: 'lock-state' }])
  expect(asked).toEqual([
    'GET /publishers',
    'GET /subscriptions',
    'POST /subscriptions',
    'GET /subscriptions',
  ])
})

test('a publisher that is not ready in time is reported, and a later run may succeed', async () => {
  const { publisher, target, world } = await started({ warmUpMs: 3_600_000 })
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'failed', retryable: true, problems: ['it publishes nothing yet'] })
  expect((await world.store.read(NODE))?.publisher).toMatchObject({
    reachable: true,
    problem: 'it publishes nothing yet',
  })
  publisher.becomeReady()
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok' })
  expect((await world.store.read(NODE))?.publisher?.problem).toBeUndefined()
})

test('a publisher that is away is reported as unreachable, and what it held stays on record', async () => {
  const { publisher, target, world } = await started({ kinds: ['lock-state'] })
  await world.reconciler.reconcile(target)
  await publisher.faults({ refuse: true })

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'failed', retryable: true, resources: [] })
  const state = await world.store.read(NODE)
  expect(state?.publisher).toMatchObject({
    reachable: false,
    problem: expect.stringContaining('ECONNREFUSED'),
  })
  expect(state?.subscriptions).toHaveLength(1)
})

test('a problem is logged when it comes and when it goes, not at every run', async () => {
  const { publisher, target, world } = await started({ kinds: ['lock-state'] })
  await publisher.faults({ refuse: true })
  await world.reconciler.reconcile(target)
  await world.reconciler.reconcile(target)
  await publisher.faults({ refuse: false })
  await world.reconciler.reconcile(target)
  await world.reconciler.reconcile(target)
  const told = world.lines.filter(({ message }) => message.startsWith('subscriptions '))
  expect(told.map(({ level }) => level)).toEqual(['warn', 'info'])
})

test('the initial notification that our endpoint refuses is one problem that names it', async () => {
  const { consumer, target, world } = await started({ secrets: [NEW] })
  consumer.answer(() => 503)
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'failed', retryable: true })
  expect(kept.problems).toEqual([expect.stringContaining(`${consumer.url}/event/${NODE}/***`)])
})

test('subscriptions with the token of an old secret are replaced by new ones, and none is called restored', async () => {
  const { publisher, consumer, target, world } = await started({ secrets: [OLD] })
  await world.reconciler.reconcile(target)
  const rotated = createWorld({
    targets: [target],
    callbackUrl: consumer.url,
    secrets: [NEW, OLD],
    store: world.store,
  })

  const kept = await rotated.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', applied: { removed: 7, restored: [] } })
  const endpoint = createCallback({ url: consumer.url, secrets: [NEW] }).endpointFor(NODE)
  expect(publisher.subscriptions().map((held) => held.endpoint)).toEqual(
    Array.from({ length: 7 }, () => endpoint),
  )
})

test('an old subscription stays where its successor could not be made', async () => {
  const { publisher, consumer, target, world } = await started({ secrets: [OLD], kinds: ['lock-state'] })
  await world.reconciler.reconcile(target)
  const before = publisher.subscriptions()
  consumer.answer(() => 403)
  const rotated = createWorld({ targets: [target], callbackUrl: consumer.url, secrets: [NEW, OLD] })
  expect((await rotated.reconciler.reconcile(target)).outcome).toBe('failed')
  expect(publisher.subscriptions()).toEqual(before)
})

test('a node name that is not the publisher’s own is told with the right one, and nothing is created', async () => {
  const { publisher, target, world } = await started({ node: 'worker-0' })

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'failed', retryable: false, resources: [] })
  expect(kept.problems).toEqual([expect.stringContaining(`set \`node\` to ${NODE}`)])
  expect(publisher.subscriptions()).toEqual([])
  expect(kept.isNobody).toBe(true)
  expect(await world.store.read('worker-0')).toBeUndefined()
  expect(world.lines).toContainEqual(expect.objectContaining({ level: 'error', node: 'worker-0' }))
})

test('a node that has another name now keeps what is known of it, and says so', async () => {
  const { target, world } = await started({ node: 'worker-0' })
  await world.store.update('worker-0', () => ({ state: lockedNode('worker-0', 0), result: undefined }))
  const kept = await world.reconciler.reconcile(target)
  expect(kept).not.toHaveProperty('isNobody')
  const state = await world.store.read('worker-0')
  expect(state?.clocks).toHaveLength(2)
  expect(state?.publisher?.problem).toContain(NODE)
})

test('SyncE of a release that publishes it but does not take subscriptions to it is no failure', async () => {
  const { publisher, target, world } = await started({ release: '4.18' })
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({
    outcome: 'ok',
    applied: { lacking: [{ kind: 'synce-lock-state' }, { kind: 'synce-clock-quality' }] },
  })
  expect(kept.resources.map(({ kind }) => kind)).not.toContain('synce-lock-state')
  expect((await world.store.read(NODE))?.pending).toEqual([])
  expect(publisher.subscriptions()).toHaveLength(5)
})

test('a publisher that took no SyncE is not asked for it again within the hour, and is after it', async () => {
  const publisher = using(createRedHatV2({ node: NODE, release: '4.18', warmUpMs: 0 }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
  let now = Date.parse('2026-11-23T12:00:00Z')
  const world = createWorld({ targets: [target], callbackUrl: consumer.url, clock: { now: () => now } })
  const asked = async () => (await world.reconciler.reconcile(target)).applied?.lacking.length
  expect(await asked()).toBe(2)
  expect(await asked()).toBe(0)
  now += 3_600_000
  expect(await asked()).toBe(2)
})

test('a dry run gives the plan and touches neither publisher nor store', async () => {
  const { publisher, consumer, target, world, client } = await started({ kinds: ['lock-state'] })
  await client.create({
    address: `/cluster/node/${NODE}/sync/ptp-status/clock-class`,
    endpoint: `${consumer.url}/event/${NODE}`,
  })
  const before = publisher.subscriptions()
  const kept = await world.reconciler.reconcile(target, { dryRun: true })
  expect(kept).toMatchObject({
    outcome: 'planned',
    applied: undefined,
    plan: [
      { do: 'remove', why: 'not-wanted' },
      { do: 'create', resource: { kind: 'lock-state' } },
    ],
  })
  expect(await world.reconciler.remove(target, { dryRun: true })).toMatchObject({ plan: [{ do: 'remove' }] })
  expect(publisher.subscriptions()).toEqual(before)
  expect(await world.store.read(NODE)).toBeUndefined()
})

test('a publisher that was upgraded to another dialect is found out in the same run', async () => {
  const consumer = await startConsumer()
  const before = using(createRedHatV1({ node: NODE, release: '4.18', warmUpMs: 0 }))
  await before.listen()
  const target = { node: NODE, url: before.url, dialect: 'auto' } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url, kinds: ['clock-class'] })
  await world.reconciler.reconcile(target)
  await before.close()
  const after = using(
    createRedHatV2({ node: NODE, release: 'main', warmUpMs: 0, port: Number(new URL(target.url).port) }),
  )
  await after.listen()

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', dialect: 'red-hat-v2' })
  expect(after.subscriptions().map(({ resource }) => resource)).toEqual([
    `/cluster/node/${NODE}/sync/ptp-status/clock-class`,
  ])
})

test('a publisher that takes nothing at all is not ready, also where only SyncE is wanted', async () => {
  const { target, world } = await started({ release: '4.18', kinds: ['synce-lock-state'] })
  expect(await world.reconciler.reconcile(target)).toMatchObject({
    outcome: 'failed',
    applied: { lacking: [] },
  })
})

test('SyncE that another reconciler subscribed to after an upgrade is not taken away', async () => {
  const consumer = await startConsumer()
  const before = using(createRedHatV2({ node: NODE, release: '4.18', warmUpMs: 0 }))
  await before.listen()
  const target = { node: NODE, url: before.url, dialect: 'red-hat-v2' } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url })
  await world.reconciler.reconcile(target)
  await before.close()
  const port = Number(new URL(target.url).port)
  const after = using(createRedHatV2({ node: NODE, release: 'main', warmUpMs: 0, port }))
  await after.listen()
  await createWorld({ targets: [target], callbackUrl: consumer.url }).reconciler.reconcile(target)

  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'ok', applied: { removed: 0 } })
  expect(after.subscriptions()).toHaveLength(7)
})

test('a publisher that fails at a create can be pulled all the same, and what it did hold is on record', async () => {
  const GNSS = `/cluster/node/${NODE}/sync/gnss-status/gnss-sync-status`
  const consumer = await startConsumer()
  const held = {
    SubscriptionId: 'ours',
    ResourceAddress: LOCK,
    EndpointUri: `${consumer.url}/event/${NODE}`,
    UriLocation: '',
  }
  const url = await listen(
    createServer((request, response) => {
      if (request.method === 'POST') return response.writeHead(500).end()
      if (request.url?.endsWith('/health')) return response.end('OK')
      const published = [LOCK, GNSS].map((address) => ({ id: address, ResourceAddress: address }))
      return response.end(JSON.stringify(request.url?.endsWith('/publishers') ? published : [held]))
    }),
  )
  const target = { node: NODE, url, dialect: 'red-hat-v2' } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url })

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({
    outcome: 'failed',
    retryable: true,
    problems: [expect.stringContaining('500')],
  })
  expect(kept.resources.map(({ kind }) => kind).toSorted()).toEqual(['gnss-sync-status', 'lock-state'])
  expect([...(kept.applied?.held ?? [])]).toEqual(['lock-state'])
  expect((await world.store.read(NODE))?.subscriptions.map(({ id }) => id)).toEqual(['ours'])
})

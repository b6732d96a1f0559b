import { createServer } from 'node:http'
import { expect, test, vi } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { listen } from '../support/listen.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'worker-1.site-a.example.com'
const LOCK = `/cluster/node/${NODE}/sync/ptp-status/lock-state`
const CLASS = `/cluster/node/${NODE}/sync/ptp-status/ptp-clock-class-change`
const NEW = 'the new secret of the callback'
const OLD = 'the old secret of the callback'

async function started(
  options: {
    release?: '4.14' | '4.18'
    node?: string
    secrets?: string[]
    kinds?: string[]
    transport?: (own: string | undefined) => string | undefined
    hopTimeoutMs?: number
  } = {},
) {
  const { release = '4.14', node = NODE, transport = (own) => own, hopTimeoutMs = 60_000, ...rest } = options
  const publisher = using(createRedHatV1({ node: NODE, release, warmUpMs: 0, hopTimeoutMs }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = {
    node,
    url: publisher.url,
    dialect: 'auto',
    transport: transport(publisher.transport),
  } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url, ...rest })
  return { publisher, consumer, target, world, client: await world.registry.client(target) }
}

test.each(['4.14', '4.18'] as const)(
  '%s: each run posts every subscription again, which changes none',
  async (release) => {
    const { publisher, consumer, target, world } = await started({ release })
    const first = await world.reconciler.reconcile(target)
    const before = publisher.subscriptions()
    const second = await world.reconciler.reconcile(target)

    expect(first).toMatchObject({ outcome: 'ok', dialect: 'red-hat-v1' })
    expect(first.applied?.created).toHaveLength(5)
    expect(second).toMatchObject({ outcome: 'ok', applied: { created: [], restored: [] } })
    expect(second.applied?.refreshed).toEqual(first.applied?.created)
    expect(publisher.subscriptions()).toEqual(before)
    expect(consumer.arrivals.filter(({ body }) => body === '')).toHaveLength(10)
    expect((await world.store.read(NODE))?.pending).toEqual([])
  },
)

test('a run heals registrations that the publisher has lost, without another subscription', async () => {
  const { publisher, target, world, client } = await started()
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })
  await world.reconciler.reconcile(target)
  publisher.forget()
  expect(await client.currentState(LOCK)).toMatchObject({ outcome: 'none', cause: 'unregistered' })

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', applied: { restored: [] } })
  await publisher.idle()
  expect(await client.currentState(LOCK)).toMatchObject({ outcome: 'answered' })
})

test('a foreign subscription in the place of ours is reported with its endpoint and left alone', async () => {
  const { publisher, consumer, target, world, client } = await started({
    kinds: ['lock-state', 'clock-class'],
  })
  await client.create({ address: LOCK, endpoint: `${consumer.url}/hook/A1b2C3d4E5f6G7h8I9j0K` })
  const strangers = publisher.subscriptions()

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'failed', foreign: 1, applied: { created: ['clock-class'] } })
  expect(kept.problems).toEqual([expect.stringContaining(`${consumer.url}/hook/***`)])
  expect(publisher.subscriptions()).toEqual([...strangers, expect.objectContaining({ resource: CLASS })])
  expect(kept.resources.map(({ address }) => address)).toEqual([LOCK, CLASS])
})

test('a 201 with a foreign endpoint, which came between the list and the create, is reported and left alone', async () => {
  const asked: string[] = []
  const url = await listen(
    createServer((request, response) => {
      asked.push(`${request.method} ${request.url?.replace('/api/ocloudNotifications/v1', '')}`)
      if (request.method === 'POST') {
        const stranger = {
          id: 'old',
          endpointUri: 'http://other/event',
          uriLocation: 'http://x/old',
          resource: LOCK,
        }
        response.writeHead(201).end(JSON.stringify(stranger))
      } else if (request.url?.endsWith('/CurrentState')) {
        response.writeHead(400).end('{"error":"{\\"message\\":\\"event data not found\\"}\\n"}')
      } else response.end()
    }),
  )
  const target = { node: NODE, url, dialect: 'red-hat-v1' } as const
  const world = createWorld({ targets: [target], callbackUrl: 'http://ingest', kinds: ['lock-state'] })

  const kept = await world.reconciler.reconcile(target)

  expect(kept.problems).toEqual([expect.stringContaining('http://other/event')])
  expect((await world.store.read(NODE))?.subscriptions).toEqual([])
  expect(asked.filter((line) => !line.startsWith('GET'))).toEqual(['POST /subscriptions'])
})

test('subscriptions with an old token are taken away and made anew', async () => {
  const { publisher, consumer, target, world } = await started({ secrets: [OLD] })
  await world.reconciler.reconcile(target)
  const rotated = createWorld({
    targets: [target],
    callbackUrl: consumer.url,
    secrets: [NEW, OLD],
    store: world.store,
  })

  const kept = await rotated.reconciler.reconcile(target)

  expect(kept).toMatchObject({ outcome: 'ok', applied: { removed: 5, restored: [] } })
  expect(new Set(publisher.subscriptions().map(({ endpoint }) => endpoint))).toEqual(
    new Set([rotated.callback.endpointFor(NODE)]),
  )
})

test('what the sidecar lost with its store is made anew and logged as restored', async () => {
  const { publisher, target, world, client } = await started({ kinds: ['lock-state'] })
  await world.reconciler.reconcile(target)
  for (const { id } of publisher.subscriptions()) await client.remove(id)
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'ok', applied: { restored: ['lock-state'] } })
  expect(await world.store.log(NODE, { after: 0, limit: 9 })).toMatchObject([
    { type: 'restored', kind: 'lock-state', via: 'poll' },
  ])
})

test('a node name that is not the publisher’s own is found by a pull, and told with the right one', async () => {
  const { publisher, target, world } = await started({ node: 'worker-1' })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })

  const kept = await world.reconciler.reconcile(target)

  expect(kept).toMatchObject({
    outcome: 'failed',
    problems: [expect.stringContaining(`set \`node\` to ${NODE}`)],
    isNobody: true,
  })
  expect(await world.store.read('worker-1')).toBeUndefined()
  expect(world.lines).toContainEqual(expect.objectContaining({ level: 'error', node: 'worker-1' }))
})

test('a node name that is known to be wrong is not subscribed again', async () => {
  const { publisher, target, world } = await started({ node: 'worker-1' })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })
  await world.reconciler.reconcile(target)
  const before = publisher.subscriptions()
  const writes = vi.spyOn(world.store, 'update')
  expect(await world.reconciler.reconcile(target)).toMatchObject({ outcome: 'failed', isNobody: true })
  expect(writes).not.toHaveBeenCalled()
  expect(publisher.subscriptions()).toEqual(before)
})

test('what a wrong node name left behind goes once the right name has proven to be it', async () => {
  const { publisher, consumer, target, world } = await started({ node: 'worker-1' })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })
  await world.reconciler.reconcile(target)
  expect(publisher.subscriptions()).toHaveLength(5)
  const right = { ...target, node: NODE }
  const corrected = createWorld({ targets: [right], callbackUrl: consumer.url })

  expect(await corrected.reconciler.reconcile(right)).toMatchObject({
    outcome: 'ok',
    applied: { removed: 5 },
  })

  expect(publisher.subscriptions().every(({ resource }) => resource.includes(NODE))).toBe(true)
})

test('a publisher that is away behind its sidecar is reported as unreachable', async () => {
  const { publisher, target, world } = await started()
  await world.reconciler.reconcile(target)
  await publisher.faults({ publisherDown: true })
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'failed', retryable: true })
  expect((await world.store.read(NODE))?.publisher).toMatchObject({ reachable: false })
})

test('a stuck sidecar lets go of the event that it holds, once unstuck', async () => {
  const { publisher, consumer, target, world } = await started({ kinds: ['lock-state'] })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })
  await world.reconciler.reconcile(target)
  await publisher.faults({ stuck: true })
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 99_999 })
  await world.reconciler.reconcile(target)
  expect(consumer.arrivals.some(({ body }) => body.includes('FREERUN'))).toBe(false)

  const found = await world.reconciler.unstick(target)

  expect(found).toMatchObject({ outcome: 'ok', applied: { refreshed: ['lock-state'] } })
  await vi.waitFor(() => expect(consumer.arrivals.some(({ body }) => body.includes('FREERUN'))).toBe(true), {
    timeout: 30_000,
  })
  expect(world.metrics.text()).toContain('ptp_watch_sidecar_unsticks_total{outcome="ok"} 1')
  expect(world.lines).toContainEqual(expect.objectContaining({ level: 'warn', node: NODE, outcome: 'ok' }))
})

test('a client that its publisher marked for deletion because of a stuck sidecar gets events again, once unstuck', async () => {
  const { publisher, consumer, target, world } = await started({ kinds: ['lock-state'], hopTimeoutMs: 1 })
  await world.reconciler.reconcile(target)
  await publisher.faults({ stuck: true })
  let offset = 1_000
  const push = () => {
    offset += 1
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset, announce: 'always' })
    expect(publisher.describe().faults).toMatchObject({ marked: true })
  }
  await vi.waitFor(push, { timeout: 30_000, interval: 10 })

  await world.reconciler.unstick(target)

  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 7 })
  await vi.waitFor(() => expect(consumer.arrivals.at(-1)?.body).toMatch(/LOCKED.*"7"/), { timeout: 30_000 })
})

test('without a transport address unstick posts ours again and says that it could do no more', async () => {
  const { consumer, target, world } = await started({ kinds: ['lock-state'], transport: () => undefined })
  await world.reconciler.reconcile(target)
  const before = consumer.arrivals.length

  expect(await world.reconciler.unstick(target)).toMatchObject({ outcome: 'ok' })

  expect(consumer.arrivals.length).toBe(before + 1)
  expect(world.lines).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      node: NODE,
      message: 're-subscribed stuck sidecar',
      outcome: 'ok',
    }),
  )
})

test('a transport address that is none is a problem of unstick', async () => {
  const consumer = await startConsumer()
  const { target, world } = await started({ kinds: ['lock-state'], transport: () => consumer.url })
  const found = await world.reconciler.unstick(target)
  expect(found.problems).toEqual([expect.stringContaining('a sidecar answers 405')])
  expect(world.metrics.text()).toContain('ptp_watch_sidecar_unsticks_total{outcome="failed"} 1')
})

test('removal takes ours away and leaves the others', async () => {
  const { publisher, consumer, target, world, client } = await started()
  await client.create({ address: '/foo/bar', endpoint: `${consumer.url}/stranger` })
  await world.reconciler.reconcile(target)
  expect(await world.reconciler.remove(target)).toMatchObject({ outcome: 'ok', applied: { removed: 5 } })
  expect(publisher.subscriptions()).toMatchObject([{ resource: '/foo/bar' }])
})

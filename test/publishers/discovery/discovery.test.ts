import { describe, expect, onTestFinished, test } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { readConfig } from '#shared/config/index.ts'
import { StoreError } from '#shared/errors.ts'
import { openDiscovery } from '#shared/publishers/discovery/index.ts'
import { isoTime, systemClock } from '#shared/time.ts'
import {
  createDiscoveryWorld,
  type DiscoveryWorld,
  goneIn,
  know,
  NAMESPACE,
  PREFIX,
  serviceFor,
  startBehindService,
} from './world.ts'
import { using } from '../support/consumer.ts'
import { logTo, startHttp } from '../support/world.ts'

const KEEP = { marks: true }

/** Nodes, and what could not be named, with why. */
async function found(world: DiscoveryWorld, options = KEEP) {
  const { targets, unnamed, failure } = await world.discovery().find(options)
  return {
    nodes: targets.map(({ node }) => node),
    unnamed: unnamed.map(({ target, reason }) => `${target.node}: ${reason}`),
    failure: failure?.message,
  }
}

describe('publishers are found', () => {
  test('by their Services, under the full names that they call themselves by', async () => {
    const world = await createDiscoveryWorld()
    const one = await startBehindService(world.api, 'worker-1.site-a.example.com')
    await startBehindService(world.api, 'worker-2')
    world.api.services.put(NAMESPACE, 'ptp-monitor-service', { metrics: 9091 })
    world.api.services.put('elsewhere', serviceFor('worker-3'), { publisher: 9043 })

    const { targets, unnamed, failure } = await world.discovery().find(KEEP)
    const host = `${PREFIX}worker-1.openshift-ptp.svc.cluster.local`
    expect(targets).toEqual([
      {
        node: 'worker-1.site-a.example.com',
        url: `http://${host}:${new URL(one.url).port}`,
        dialect: 'red-hat-v2',
        labels: {},
      },
      expect.objectContaining({ node: 'worker-2' }),
    ])
    expect({ unnamed, failure }).toEqual({ unnamed: [], failure: undefined })
  })

  test('on lists of several pages, from the start again where a page has expired', async () => {
    const world = await createDiscoveryWorld()
    const nodes = ['a', 'b', 'c', 'd', 'e']
    for (const node of nodes) await startBehindService(world.api, node)
    let pages = 0
    world.api.before(() => {
      pages += 1
      if (pages === 2) world.api.services.expireContinuations()
    })
    expect((await found(world)).nodes).toEqual(nodes)
    expect(world.api.requests.map(({ status }) => status)).toEqual([200, 410, 200, 200, 200])
  })

  test('on a list that has null wherever something is empty', async () => {
    const world = await createDiscoveryWorld()
    await startBehindService(world.api, 'a')
    const name = serviceFor('a')
    const lists = [
      { metadata: null, items: [{ metadata: { name }, spec: null }] },
      { metadata: { continue: null }, items: [{ metadata: { name }, spec: { ports: null } }] },
      { metadata: { continue: '' }, items: [{ metadata: { name } }] },
    ]
    for (const list of lists) {
      world.api.refuseNext(1, { code: 200, body: JSON.stringify(list) })
      const { unnamed, failure } = await world.discovery().find({ marks: false })
      expect({ unnamed: unnamed.map(({ target }) => target.url), failure }).toEqual({
        unnamed: [`http://${name}.openshift-ptp.svc.cluster.local:9043`],
        failure: undefined,
      })
    }
  })

  test('anew at each run, those that stay as the same target', async () => {
    const world = await createDiscoveryWorld()
    await startBehindService(world.api, 'a')
    const discovery = world.discovery()
    const [first] = (await discovery.find(KEEP)).targets
    await startBehindService(world.api, 'b')
    const { targets } = await discovery.find(KEEP)
    expect(targets.map(({ node }) => node)).toEqual(['a', 'b'])
    expect(targets[0]).toBe(first)
  })

  test('in parts, each by one process, whoever comes and goes', async () => {
    const world = await createDiscoveryWorld()
    const shards = [0, 1, 2].map((index) => world.discovery({ index, count: 3 }))
    const partsOf = async () => {
      const parts = await Promise.all(shards.map((shard) => shard.find(KEEP)))
      return new Map(parts.flatMap(({ targets }, part) => targets.map(({ node }) => [node, part] as const)))
    }
    const nodes = Array.from({ length: 8 }, (_, i) => `worker-${i}`)
    for (const node of nodes) await startBehindService(world.api, node)
    const before = await partsOf()
    expect([...before.keys()].sort()).toEqual(nodes)
    expect(new Set(before.values()).size).toBeGreaterThan(1)
    world.api.services.remove(NAMESPACE, serviceFor('worker-0'))
    const after = await partsOf()
    before.delete('worker-0')
    expect(Object.fromEntries(after)).toEqual(Object.fromEntries(before))
  })
})

describe('a publisher that does not say which node it is', () => {
  test('waits for its name, and has no other until then', async () => {
    const world = await createDiscoveryWorld()
    const starting = await startBehindService(world.api, 'worker-1.example.com', { warmUpMs: 3_600_000 })
    const discovery = world.discovery()
    const { targets, unnamed } = await discovery.find(KEEP)
    expect(targets).toEqual([])
    expect(unnamed).toMatchObject([
      { target: { node: `${PREFIX}worker-1` }, reason: expect.stringContaining('publishes nothing yet') },
    ])
    const [{ target } = { target: undefined }] = unnamed
    if (target === undefined) throw new Error('There is one')
    await expect(discovery.named(target)).rejects.toMatchObject({ retryable: true })
    starting.becomeReady()
    expect(await discovery.named(target)).toEqual({ ...target, node: 'worker-1.example.com', labels: {} })
    expect(await goneIn(world)).toEqual({})
  })

  test('keeps the name that the store has for it', async () => {
    const world = await createDiscoveryWorld()
    await startBehindService(world.api, 'worker-1.example.com', { warmUpMs: 3_600_000 })
    await know(world, 'worker-1.example.com')
    expect(await found(world)).toMatchObject({ nodes: ['worker-1.example.com'], unnamed: [] })
    expect(await goneIn(world)).toEqual({ 'worker-1.example.com': undefined })
  })

  test('is none where nobody is behind the Service, save where a node of the store was', async () => {
    const world = await createDiscoveryWorld()
    for (const node of ['vacant-1', 'vacant-2']) {
      world.api.services.put(NAMESPACE, serviceFor(node), { publisher: 9043 })
    }
    await know(world, 'vacant-2.example.com')
    expect(await found(world)).toEqual({ nodes: ['vacant-2.example.com'], unnamed: [], failure: undefined })
  })

  test('fails the run where nobody is behind any Service and no node is known: from outside of the cluster all look so', async () => {
    const world = await createDiscoveryWorld()
    for (const node of ['vacant-1', 'vacant-2']) {
      world.api.services.put(NAMESPACE, serviceFor(node), { publisher: 9043 })
    }
    expect(await found(world)).toEqual({
      nodes: [],
      unnamed: [],
      failure: expect.stringMatching(/^None of the 2 publisher Services .*\.svc\.cluster\.local/),
    })
    // A part of the fleet may well have none.
    const parts = [0, 1].map((index) => world.discovery({ index, count: 2 }).find(KEEP))
    for (const { failure } of await Promise.all(parts)) expect(failure).toBeUndefined()
  })

  test('of version 1 is told apart, with what to do', async () => {
    const world = await createDiscoveryWorld()
    const old = using(createRedHatV1({ node: 'old', release: '4.14', warmUpMs: 0 }))
    await old.listen()
    const port = Number(new URL(old.transport ?? '').port)
    world.api.services.put(NAMESPACE, serviceFor('old'), { publisher: port })
    const { nodes, unnamed } = await found(world)
    expect(nodes).toEqual([])
    expect(unnamed).toEqual([expect.stringMatching(/version 1 .* list its sidecar in PUBLISHERS instead/)])
  })

  test('is told of once, not at each run', async () => {
    const world = await createDiscoveryWorld()
    const starting = await startBehindService(world.api, 'a', { warmUpMs: 3_600_000 })
    const discovery = world.discovery()
    await discovery.find(KEEP)
    await discovery.find(KEEP)
    starting.becomeReady()
    await discovery.find(KEEP)
    expect(world.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warn discovery failed',
      'info discovery works again',
    ])
  })

  test('is not believed where it claims to be a node that its Service is not named after', async () => {
    const world = await createDiscoveryWorld()
    await know(world, 'b.example.com')
    await startBehindService(world.api, 'b.example.com', { service: serviceFor('a') })
    const discovery = world.discovery()
    const { targets, unnamed } = await discovery.find(KEEP)
    expect({ targets, reasons: unnamed.map(({ reason }) => reason) }).toEqual({
      targets: [],
      reasons: [expect.stringMatching(/node b\.example\.com, which its Service is not named after/)],
    })
    for (const { target } of unnamed) await expect(discovery.named(target)).rejects.toThrow('b.example.com')
    expect(await goneIn(world)).toEqual({ 'b.example.com': isoTime(world.now) })
  })
})

describe('a node that disappears', () => {
  /** Two nodes that are known, of which one has no Service any more. */
  async function withGoneNode(): Promise<DiscoveryWorld> {
    const world = await createDiscoveryWorld()
    await startBehindService(world.api, 'stays.example.com')
    await know(world, 'stays.example.com')
    await know(world, 'goes.example.com')
    return world
  }

  test('is marked with the time and why, and stays', async () => {
    const world = await withGoneNode()
    await world.discovery().find(KEEP)
    const gone = await world.store.read('goes.example.com')
    expect(gone?.publisher).toMatchObject({
      reachable: false,
      goneSince: isoTime(world.now),
      problem: `discovery no longer finds it behind the Service ${serviceFor('goes')}`,
    })
    expect(gone?.clocks).toHaveLength(2)
    expect(await goneIn(world)).toMatchObject({ 'stays.example.com': undefined })
  })

  test('is announced as silent when it is, though nobody polls it', async () => {
    const world = await withGoneNode()
    await world.discovery().find(KEEP)
    expect(await world.store.log('goes.example.com', { after: 0, limit: 9 })).toEqual([])
    world.now += 59_000
    const stale = (await world.store.read('goes.example.com'))?.clocks.map((clock) => ({
      ...clock,
      confirmedAt: isoTime(world.now - 180_000),
    }))
    await world.store.update('goes.example.com', (state) => ({
      state: state && { ...state, clocks: stale ?? [] },
      result: undefined,
    }))
    await world.discovery().find(KEEP)
    await world.discovery().find(KEEP)
    expect(await world.store.log('goes.example.com', { after: 0, limit: 9 })).toMatchObject([
      { type: 'stale', overall: 'UNKNOWN' },
      { type: 'overall', from: 'LOCKED', to: 'UNKNOWN' },
    ])
  })

  test('is forgotten once it has been gone for the time that state is kept, and not before', async () => {
    const world = await withGoneNode()
    const since = isoTime(world.now)
    await world.discovery().find(KEEP)
    world.now += 59_999
    await world.discovery().find(KEEP)
    expect(await goneIn(world)).toEqual({ 'goes.example.com': since, 'stays.example.com': undefined })
    world.now += 1
    await world.discovery().find(KEEP)
    expect(await goneIn(world)).toEqual({ 'stays.example.com': undefined })
  })

  test('is not forgotten while its pushes still come: they were acknowledged', async () => {
    const world = await withGoneNode()
    await world.discovery().find(KEEP)
    world.now += 59_999
    const receivedAt = isoTime(world.now)
    await world.store.update('goes.example.com', (state) => ({
      state: state && { ...state, clocks: state.clocks.map((clock) => ({ ...clock, receivedAt })) },
      result: undefined,
    }))
    world.now += 59_999
    await world.discovery().find(KEEP)
    expect(Object.keys(await goneIn(world))).toEqual(['goes.example.com', 'stays.example.com'])
    world.now += 1
    await world.discovery().find(KEEP)
    expect(Object.keys(await goneIn(world))).toEqual(['stays.example.com'])
  })

  test('is not forgotten in silence with entries that the broker has not had', async () => {
    const world = await withGoneNode()
    await world.store.update('goes.example.com', (state) => ({
      state: state && { ...state, forwarded: 0 },
      entries: [{ type: 'stale', via: 'poll', overall: 'UNKNOWN' }],
      result: undefined,
    }))
    await world.discovery().find(KEEP)
    world.now += 60_000
    await world.discovery().find(KEEP)
    expect(Object.keys(await goneIn(world))).toEqual(['stays.example.com'])
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'log entries dropped before they reached the sink',
        node: 'goes.example.com',
        dropped: 1,
      }),
    )
  })

  test('because it never was, under a name that was listed wrongly, is marked, and is no name for anybody', async () => {
    const world = await createDiscoveryWorld()
    const publisher = await startBehindService(world.api, 'right.example.com', { warmUpMs: 3_600_000 })
    const port = new URL(publisher.url).port
    const url = `http://${serviceFor('right')}.${NAMESPACE}.svc.cluster.local:${port}`
    await know(world, 'wrong.example.com', { url })
    expect(await found(world)).toMatchObject({ nodes: [], unnamed: [expect.anything()] })
    publisher.becomeReady()
    expect(await found(world)).toMatchObject({ nodes: ['right.example.com'], unnamed: [] })
    expect(await goneIn(world)).toEqual({ 'wrong.example.com': isoTime(world.now) })
  })

  test('because it was renamed is marked under its old name alone', async () => {
    const world = await createDiscoveryWorld()
    await startBehindService(world.api, 'worker-1.new.example.com')
    await know(world, 'worker-1.old.example.com')
    expect((await found(world)).nodes).toEqual(['worker-1.new.example.com'])
    expect(await goneIn(world)).toEqual({ 'worker-1.old.example.com': isoTime(world.now) })
  })

  test('is left as it is where nothing is to be written', async () => {
    const world = await withGoneNode()
    await found(world, { marks: false })
    expect(await goneIn(world)).toMatchObject({ 'goes.example.com': undefined })
  })

  test('is polled by nobody and marked later where its document cannot be written, and the others are found', async () => {
    const world = await withGoneNode()
    const { store } = world
    const refuse = () => Promise.reject(new StoreError('The store refuses this one'))
    const update: typeof store.update = (node, ...rest) =>
      node.startsWith('goes') ? refuse() : store.update(node, ...rest)
    const { targets } = await world.discovery(undefined, { ...store, update }).find(KEEP)
    expect(targets.map(({ node }) => node)).toEqual(['stays.example.com'])
    expect(world.lines).toMatchObject([
      { level: 'warn', message: expect.stringContaining('cannot mark nodes as gone'), nodes: 1 },
    ])
    await world.discovery().find(KEEP)
    expect(await goneIn(world)).toMatchObject({ 'goes.example.com': isoTime(world.now) })
  })

  test('is not looked for while the store does not list its nodes, and the others are found', async () => {
    const world = await withGoneNode()
    const list = () => Promise.reject(new StoreError('A stored document cannot be used'))
    const { targets, failure } = await world.discovery(undefined, { ...world.store, list }).find(KEEP)
    expect({ nodes: targets.map(({ node }) => node), failure }).toEqual({
      nodes: ['stays.example.com'],
      failure: undefined,
    })
    expect(await goneIn(world)).toMatchObject({ 'goes.example.com': undefined })
  })

  test('is left as it is if somebody has reached it since the list was asked for', async () => {
    const world = await withGoneNode()
    await know(world, 'goes.example.com', { checkedAt: isoTime(world.now) })
    await world.discovery().find(KEEP)
    expect(await goneIn(world)).toMatchObject({ 'goes.example.com': undefined })
  })

  test('is marked by the one process whose part it is', async () => {
    const world = await withGoneNode()
    const marked = []
    for (const index of [0, 1, 2]) {
      const before = await goneIn(world)
      await world.discovery({ index, count: 3 }).find(KEEP)
      if ((await goneIn(world))['goes.example.com'] !== before['goes.example.com']) marked.push(index)
    }
    expect(marked).toHaveLength(1)
  })

  test('is none that was listed by hand or is of another namespace', async () => {
    const world = await withGoneNode()
    await know(world, 'by-hand', { url: 'http://10.0.0.11:9043' })
    await know(world, 'elsewhere', { url: `http://${serviceFor('elsewhere')}.other.svc.cluster.local:9043` })
    await world.discovery().find(KEEP)
    expect(await goneIn(world)).toMatchObject({ 'by-hand': undefined, elsewhere: undefined })
  })
})

describe.each([
  {
    name: 'does not allow the list',
    begin: (world: DiscoveryWorld) => void world.api.discoverable.delete(NAMESPACE),
    message: /list services in namespace openshift-ptp.*\(403\): services is forbidden.*component discovery/,
  },
  {
    name: 'is away',
    begin: (world: DiscoveryWorld) => world.api.away(),
    message: /Cannot list services in namespace openshift-ptp: the API server at .* is unreachable/,
  },
  {
    name: 'is silent',
    begin(world: DiscoveryWorld) {
      world.api.before(() => Promise.withResolvers<void>().promise)
      world.patienceMs = 200
    },
    message: /did not answer in time/,
  },
  {
    name: 'answers with something else',
    begin: (world: DiscoveryWorld) => world.api.refuseNext(99, { code: 200, body: '<html>a portal</html>' }),
    message: /list services in namespace openshift-ptp: .* unexpected answer/,
  },
  {
    name: 'has an empty list, which is null',
    begin: (world: DiscoveryWorld) =>
      world.api.refuseNext(99, { code: 200, body: '{"kind":"ServiceList","metadata":{},"items":null}' }),
    message: /None of the 0 Services in namespace openshift-ptp is a ptp-event-publisher-service-…/,
  },
  {
    name: 'answers with a list without items',
    begin: (world: DiscoveryWorld) =>
      world.api.refuseNext(99, { code: 200, body: '{"kind":"ServiceList","metadata":{}}' }),
    message: /list services in namespace openshift-ptp: .* unexpected answer/,
  },
  {
    name: 'fails',
    begin: (world: DiscoveryWorld) => world.api.refuseNext(99, { code: 500 }),
    message: /answered 500/,
  },
  {
    name: 'has no Service of a publisher',
    begin(world: DiscoveryWorld) {
      for (const node of ['a', 'b']) world.api.services.remove(NAMESPACE, serviceFor(node))
      world.api.services.put(NAMESPACE, 'ptp-monitor-service', { metrics: 9091 })
    },
    message: /None of the 1 Services in namespace openshift-ptp is a ptp-event-publisher-service-…/,
  },
])('while the API server $name', ({ begin, message }) => {
  test('the nodes of the store are gone on with, and nobody is marked or forgotten', async () => {
    const world = await createDiscoveryWorld()
    await startBehindService(world.api, 'a')
    await know(world, 'a')
    await know(world, 'b')
    const since = isoTime(world.now - 3_600_000)
    await know(world, 'long-gone', { goneSince: since })
    await begin(world)
    expect(await found(world)).toEqual({
      nodes: ['a', 'b'],
      unnamed: [],
      failure: expect.stringMatching(message),
    })
    expect(await goneIn(world)).toEqual({ a: undefined, b: undefined, 'long-gone': since })
  })
})

test.each([
  { env: {}, scheme: 'http:' },
  { env: { PUBLISHER_CA_FILE: '/ca.crt' }, scheme: 'https:' },
  { env: { PUBLISHER_CERT_FILE: '/tls.crt', PUBLISHER_KEY_FILE: '/tls.key' }, scheme: 'https:' },
  { env: { PUBLISHER_TOKEN_FILE: '/token' }, scheme: 'http:' },
])('with $env publishers are spoken to by $scheme', async ({ env, scheme }) => {
  const world = await createDiscoveryWorld()
  await startBehindService(world.api, 'a', { warmUpMs: 3_600_000 })
  const config = await readConfig({ ...env, KUBECONFIG: world.api.kubeconfig })
  const log = logTo(world.lines)
  const discovery = await openDiscovery(NAMESPACE, config, {
    http: startHttp(),
    store: world.store,
    clock: systemClock,
    log,
  })
  onTestFinished(() => discovery.close())
  const { unnamed } = await discovery.find(KEEP)
  expect(unnamed.map(({ target }) => new URL(target.url).protocol)).toEqual([scheme])
})

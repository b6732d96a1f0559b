import { expect, test } from 'vitest'
import { createDiscoveryWorld, type DiscoveryWorld, know, serviceFor, startBehindService } from './world.ts'

const KEEP = { marks: true }
const ZONE = 'topology.kubernetes.io/zone'
const REGION = 'topology.kubernetes.io/region'
const TAKE = [
  { key: 'site', label: ZONE },
  { key: 'region', label: REGION },
]

/** A cluster of two Nodes with publishers, and one without. */
async function labelled(): Promise<DiscoveryWorld> {
  const world = await createDiscoveryWorld()
  world.take = TAKE
  world.api.nodes.add('a.example.com', { [ZONE]: 'hall-1', [REGION]: 'north', other: 'x' })
  world.api.nodes.add('b.example.com', { [ZONE]: 'hall-2' })
  world.api.nodes.add('control-plane', { [ZONE]: '' })
  await startBehindService(world.api, 'a.example.com')
  await startBehindService(world.api, 'b.example.com')
  return world
}

const labelsIn = (targets: readonly { node: string; labels?: unknown }[]) =>
  targets.map(({ node, labels }) => [node, labels])

/** Gives a Node these labels; null takes one off. */
function relabel({ api }: DiscoveryWorld, node: string, labels: Record<string, string | null>): void {
  api.nodes.patch('', node, '', { type: 'application/merge-patch+json', body: { metadata: { labels } } })
}

const linesOf = ({ lines }: DiscoveryWorld) => lines.map(({ level, message }) => `${level} ${message}`)

test('publishers have the labels of their Nodes that are asked for, by their keys here', async () => {
  const world = await labelled()
  const { targets, failure, nodeLabels } = await world.discovery().find(KEEP)
  expect(labelsIn(targets)).toEqual([
    ['a.example.com', { site: 'hall-1', region: 'north' }],
    ['b.example.com', { site: 'hall-2' }],
  ])
  expect({ failure, nodeLabels }).toMatchObject({
    failure: undefined,
    nodeLabels: { failure: undefined, absent: [], unused: [] },
  })
  expect(world.lines).toEqual([])
})

test('Nodes are listed once a run, in pages of metadata, from the start again where a page has expired', async () => {
  const world = await labelled()
  let pages = 0
  world.api.before(({ resource }) => {
    if (resource !== 'nodes' || ++pages !== 2) return
    relabel(world, 'a.example.com', { [ZONE]: 'hall-9' })
    // So many newer lists make the API server forget the time of this one.
    for (let i = 0; i < 30; i += 1) {
      relabel(world, 'control-plane', { i: String(i) })
      world.api.nodes.list('', { labelSelector: '', limit: 1, continue: '' })
    }
  })
  const { targets } = await world.discovery().find(KEEP)
  expect(labelsIn(targets)[0]).toEqual(['a.example.com', { site: 'hall-9', region: 'north' }])
  const asked = world.api.requests.filter(({ resource }) => resource === 'nodes')
  expect(asked.map(({ status, verb, namespace }) => [status, verb, namespace])).toEqual(
    [200, 410, 200, 200].map((status) => [status, 'list', '']),
  )
  expect(new Set(asked.map(({ accept }) => accept))).toEqual(
    new Set(['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io']),
  )
})

test('a label that changes makes another target of it, one that stays the same', async () => {
  const world = await labelled()
  const discovery = world.discovery()
  const [firstA, firstB] = (await discovery.find(KEEP)).targets
  relabel(world, 'a.example.com', { [ZONE]: 'hall-3', [REGION]: null })
  const { targets } = await discovery.find(KEEP)
  expect(labelsIn(targets)).toEqual([
    ['a.example.com', { site: 'hall-3' }],
    ['b.example.com', { site: 'hall-2' }],
  ])
  expect(targets[0]).not.toBe(firstA)
  expect(targets[1]).toBe(firstB)
})

test.each([
  {
    name: 'is not allowed',
    begin: ({ api }: DiscoveryWorld) => void api.permitted.clear(),
    end: ({ api }: DiscoveryWorld) => void api.permitted.add('list nodes'),
    problem:
      /^Labels of Nodes cannot be read\. Cannot list nodes: the API server at \S+ does not allow it to the context \S+ of \S+ \(403\): nodes is forbidden.* at the cluster scope\. The component node-labels grants it \(docs\/deploy\.md\)$/,
  },
  {
    name: 'hangs',
    begin: (world: DiscoveryWorld) => {
      world.patienceMs = 300
      world.api.before(({ resource }) => (resource === 'nodes' ? new Promise(() => {}) : undefined))
    },
    end: (world: DiscoveryWorld) => {
      world.patienceMs = 20_000
      world.api.before(() => {})
    },
    problem: /^Labels of Nodes cannot be read\. Cannot list nodes: .*it did not answer in time$/,
  },
])(
  'while listing Nodes $name the labels stay as they are, nothing else fails, and it is told once',
  async ({ begin, end, problem }) => {
    const world = await labelled()
    const discovery = world.discovery()
    const before = (await discovery.find(KEEP)).targets
    begin(world)
    for (let run = 0; run < 2; run += 1) {
      const { targets, failure, nodeLabels } = await discovery.find(KEEP)
      expect(targets).toEqual(before)
      expect(targets[0]).toBe(before[0])
      expect({ failure, reason: nodeLabels?.failure?.message }).toEqual({
        failure: undefined,
        reason: expect.stringMatching(problem),
      })
    }
    // Another process does not know them: the store does.
    const { targets } = await world.discovery().find(KEEP)
    expect(targets.map((target) => 'labels' in target)).toEqual([false, false])
    end(world)
    expect((await discovery.find(KEEP)).targets).toEqual(before)
    const told = 'cannot read Node labels; nodes keep the labels that they have'
    expect(linesOf(world)).toEqual([`warn ${told}`, `warn ${told}`, 'info Node labels can be read again'])
  },
)

test('a failure to list Nodes is told again when its reason changes', async () => {
  const world = await labelled()
  const discovery = world.discovery()
  world.api.permitted.clear()
  await discovery.find(KEEP)
  await discovery.find(KEEP)
  world.api.permitted.add('list nodes')
  world.patienceMs = 300
  world.api.before(({ resource }) => (resource === 'nodes' ? new Promise(() => {}) : undefined))
  await discovery.find(KEEP)
  expect(world.lines).toMatchObject([
    { problem: expect.stringContaining('does not allow it') },
    { problem: expect.stringContaining('did not answer in time') },
  ])
})

test('while Services cannot be listed the nodes of the store have the labels of their Nodes all the same', async () => {
  const world = await labelled()
  await know(world, 'a.example.com')
  world.api.discoverable.clear()
  const { targets, failure } = await world.discovery().find(KEEP)
  expect({ labels: labelsIn(targets), failure: failure?.message }).toEqual({
    labels: [['a.example.com', { site: 'hall-1', region: 'north' }]],
    failure: expect.stringContaining('Cannot list services'),
  })
})

test('a Node that is gone takes no label away, and is told of once; one in other letter case is the same', async () => {
  const world = await labelled()
  await startBehindService(world.api, 'C.example.com', { service: serviceFor('c') })
  world.api.nodes.add('c.example.com', { [ZONE]: 'hall-3' })
  const discovery = world.discovery()
  const before = labelsIn((await discovery.find(KEEP)).targets)
  world.api.nodes.remove('', 'b.example.com')
  const { targets, nodeLabels } = await discovery.find(KEEP)
  expect(labelsIn(targets)).toEqual(before)
  expect(before).toContainEqual(['C.example.com', { site: 'hall-3' }])
  expect(nodeLabels?.absent).toEqual(['b.example.com'])
  await discovery.find(KEEP)
  expect(world.lines).toEqual([
    expect.objectContaining({
      message: 'the cluster has no Node of this name: the node keeps the labels that it has',
      nodes: ['b.example.com'],
    }),
  ])
})

test('a value that cannot be ours is left out, and told once for all Nodes that have it', async () => {
  const world = await labelled()
  world.take = [...TAKE, { key: 'holdover-budget-seconds', label: 'budget' }]
  relabel(world, 'a.example.com', { [ZONE]: '', budget: '4h' })
  relabel(world, 'b.example.com', { [ZONE]: 'x'.repeat(64), budget: '7200' })
  const discovery = world.discovery()
  for (let run = 0; run < 2; run += 1) {
    const { targets, nodeLabels } = await discovery.find(KEEP)
    expect(labelsIn(targets)).toEqual([
      ['a.example.com', { region: 'north' }],
      ['b.example.com', { 'holdover-budget-seconds': '7200' }],
    ])
    expect(nodeLabels?.unused).toEqual([ZONE])
  }
  const message = 'empty or invalid value of a Node label: left out'
  expect(world.lines).toEqual([
    expect.objectContaining({
      ...{ message, key: 'site', label: ZONE, count: 2 },
      nodes: ['a.example.com', 'b.example.com'],
    }),
    expect.objectContaining({ message, key: 'holdover-budget-seconds', nodes: ['a.example.com'] }),
  ])
})

test('a publisher that says its name later has the labels of its Node from then on', async () => {
  const world = await labelled()
  const starting = await startBehindService(world.api, 'd.example.com', { warmUpMs: 3_600_000 })
  world.api.nodes.add('d.example.com', { [ZONE]: 'hall-4' })
  const discovery = world.discovery()
  const [{ target } = { target: undefined }] = (await discovery.find(KEEP)).unnamed
  if (target === undefined) throw new Error('There is one')
  starting.becomeReady()
  expect(await discovery.named(target)).toMatchObject({ node: 'd.example.com', labels: { site: 'hall-4' } })
})

test('without NODE_LABELS no Node is asked for, and publishers have no labels', async () => {
  const world = await labelled()
  world.take = undefined
  const { targets, nodeLabels } = await world.discovery().find(KEEP)
  expect(labelsIn(targets)).toEqual([
    ['a.example.com', {}],
    ['b.example.com', {}],
  ])
  expect(nodeLabels).toBeUndefined()
  expect(world.api.requests.map(({ resource }) => resource)).toEqual(['services'])
})

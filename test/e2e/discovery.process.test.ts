import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import { startApi } from '../kubernetes/api.ts'
import { NAMESPACE, serviceFor } from '../publishers/discovery/world.ts'
import type { Env } from '../runtime/processes.ts'
import type { KubernetesApi } from '../support/kubernetes-api.ts'
import { clocksIn, publishersClock, steady } from './support/publishers.ts'
import { eventually, listening, type System, startSystem } from './support/system.ts'

const NODES = ['worker-0.site-a.example.com', 'worker-1.site-a.example.com'] as const

/** A publisher whose clocks are in lock, behind the Service of its node. */
async function startNode(
  api: KubernetesApi,
  node: string,
  options: { port?: number; warmUpMs?: number } = {},
) {
  const { port = 0, warmUpMs = 0 } = options
  const [publisher] = await listening(
    createRedHatV2({ node, release: 'main', port, warmUpMs, now: publishersClock }),
  )
  publisher.setClock(...clocksIn('LOCKED'))
  putService(api, publisher)
  return publisher
}

const portOf = ({ url }: Publisher) => Number(new URL(url).port)

function putService({ services }: KubernetesApi, publisher: Publisher): void {
  services.put(NAMESPACE, serviceFor(publisher.node), { 'publisher-port': portOf(publisher) })
}

/** The functions as processes, in a cluster whose publishers they have to find. */
async function startCluster(env: Env = {}) {
  const api = await startApi()
  const publishers = await Promise.all(NODES.map((node) => startNode(api, node)))
  const system = await startSystem([], {
    PUBLISHERS: `kubernetes://${NAMESPACE}`,
    KUBECONFIG: api.kubeconfig,
    NODE_OPTIONS: `--import=${fileURLToPath(new URL('../support/cluster-dns.ts', import.meta.url))}`,
    ...env,
  })
  const [first, second] = publishers
  if (first === undefined || second === undefined) throw new Error('There are two')
  return { api, system, first, second }
}

const namesIn = async (system: System) => (await system.nodes()).map(({ node }) => node)

/** The row of a node in the table that `status` prints. */
async function rowOf(system: System, { node }: Publisher): Promise<string | undefined> {
  const { out } = await system.run(['status'], { COLUMNS: '200' })
  return out.split('\n').find((line) => line.startsWith(node.slice(0, 20)))
}

test('nodes come: subscribe and each poll find them, under their full names', async () => {
  const { api, system, first, second } = await startCluster()
  expect(await system.run(['subscribe'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^2 of 2 publishers done, 14 subscriptions held, 14 created/),
  })
  await steady(system, first)
  await steady(system, second)
  const third = await startNode(api, 'worker-2.site-b.example.com')
  await steady(system, third)
  expect(third.subscriptions()).toHaveLength(7)
  expect(await namesIn(system)).toEqual([...NODES, third.node])
  expect(await system.run(['poll'])).toMatchObject({
    code: 0,
    out: '3 of 3 publishers polled\n',
    err: expect.not.stringContaining('failed'),
  })
})

test('without tokens the first notifications of a node that was found are taken in, though none is configured', async () => {
  const { system, first } = await startCluster({ CALLBACK_SECRET: '' })
  expect((await system.run(['subscribe'])).code).toBe(0)
  const { overall, counters } = await system.node(first)
  expect({ overall, taken: counters.received > 0 }).toEqual({ overall: 'LOCKED', taken: true })
})

test('a node goes and returns: it is marked, not in lock, and in the end as before', async () => {
  const { api, system, first, second } = await startCluster({ STALE_AFTER_SECONDS: '2' })
  await steady(system, first)
  await steady(system, second)
  api.services.remove(NAMESPACE, serviceFor(second.node))
  await second.close()
  await system.tick()
  const gone = await system.node(second)
  expect(gone.publisher).toMatchObject({ reachable: false, goneSince: expect.any(String) })
  expect(await rowOf(system, second)).toMatch(/ gone /)
  expect(await rowOf(system, first)).toMatch(/ up /)
  await eventually(async () =>
    expect(await system.node(second)).toMatchObject({ overall: 'UNKNOWN', stale: true }),
  )
  await system.tick()
  const { log = [] } = await system.node(second)
  expect(log.map(({ type }) => type)).toEqual(expect.arrayContaining(['stale', 'overall']))

  await second.listen()
  putService(api, second)
  const back = await steady(system, second)
  expect(back.publisher).toMatchObject({ reachable: true })
  expect(back.publisher).not.toHaveProperty('goneSince')
  expect(back.log?.map(({ seq }) => seq).slice(0, log.length)).toEqual(log.map(({ seq }) => seq))
})

test('subscribe waits for a publisher that does not say its name yet, and never takes its short one', async () => {
  const { api, system } = await startCluster()
  const starting = await startNode(api, 'worker-2.example.com', { warmUpMs: 3_600_000 })
  const running = system.begin(['subscribe'])
  await running.until(/waiting for ptp-event-publisher-service-worker-2: .*publishes nothing yet/)
  expect(await namesIn(system)).toEqual([...NODES])
  starting.becomeReady()
  expect(await running.exit).toBe(0)
  expect(running.out()).toContain('3 of 3 publishers done')
  expect(await namesIn(system)).toEqual([...NODES, starting.node])
})

test.each([
  {
    name: 'is away',
    begin: (api: KubernetesApi) => api.away(),
    message: /failed: .*Cannot list services in namespace openshift-ptp: .* is unreachable/,
  },
  {
    name: 'allows no list',
    begin: async (api: KubernetesApi) => void api.discoverable.clear(),
    message: /failed: .*\(403\): services is forbidden.*The component discovery grants it/,
  },
])(
  'while the API server $name each run fails with why, goes on with the nodes it knows, and forgets none',
  async ({ begin, message }) => {
    const { api, system, first, second } = await startCluster({ STATE_RETENTION_SECONDS: '1' })
    await steady(system, first)
    await steady(system, second)
    await begin(api)
    const polled = await system.run(['poll'])
    expect(polled).toMatchObject({
      code: 1,
      out: '2 of 2 publishers polled\n',
      err: expect.stringMatching(message),
    })
    const subscribed = await system.run(['subscribe'])
    expect(subscribed).toMatchObject({
      code: 1,
      out: expect.stringContaining('2 of 2 publishers done, 14 subscriptions held'),
      err: expect.stringMatching(message),
    })
    await expect(system.tick()).rejects.toThrow(/answered 503 .*list services in namespace openshift-ptp/)
    const nodes = await system.nodes()
    expect(nodes.map(({ node, publisher }) => [node, publisher?.reachable])).toEqual(
      NODES.map((node) => [node, true]),
    )
  },
)

test('subscribe --remove takes ours away where publishers are found, and --dry-run writes nothing', async () => {
  const { api, system, first, second } = await startCluster()
  expect(await system.run(['subscribe', '--dry-run'])).toMatchObject({
    code: 0,
    out: expect.stringContaining(first.node),
  })
  expect(await system.nodes()).toEqual([])
  expect((await system.run(['subscribe'])).code).toBe(0)
  api.services.remove(NAMESPACE, serviceFor(second.node))
  expect((await system.run(['subscribe', '--remove'])).code).toBe(0)
  expect([first, second].map((publisher) => publisher.subscriptions().length)).toEqual([0, 7])
  expect((await system.node(second)).publisher).not.toHaveProperty('goneSince')
})

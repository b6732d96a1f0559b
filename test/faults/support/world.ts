import { expect, onTestFinished, vi } from 'vitest'
import { type Service, serve } from '../../e2e/support/system.ts'
import { temporaryFolder } from '../../functions/fleet.ts'
import { startApi } from '../../kubernetes/api.ts'
import type { Env } from '../../runtime/processes.ts'
import type { KubernetesApi } from '../../support/kubernetes-api.ts'
import { type RedisServer, startRedis } from '../../support/redis.ts'
import { startSink, type TestSink } from '../../support/sink.ts'
import { faultsOf, heldIn, lostFrom, wrongAtSink } from './audit.ts'
import { type Load, type LoadOptions, startLoad } from './load.ts'

export const NODES: readonly string[] = ['a', 'b', 'c', 'd'].map((name) => `${name}.site-a.example.com`)

/** Stores of a test's own: the environment that leads to them, and what a test may do to them. */
export function sqliteStore(): { env: Env } {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  return { env: { STATE_URL: `sqlite:${folder.path}/state.db` } }
}

/** A Redis that has on disk what it says it has. */
export async function redisStore(): Promise<{ env: Env; server: RedisServer }> {
  const server = await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
  onTestFinished(() => server.close())
  return { env: { STATE_URL: `redis://127.0.0.1:${server.port}` }, server }
}

export async function configMapStore(): Promise<{ env: Env; api: KubernetesApi }> {
  const api = await startApi()
  return { env: { STATE_URL: 'configmap://ptp-watch', KUBECONFIG: api.kubeconfig }, api }
}

export async function sinkOfTest(): Promise<TestSink> {
  const sink = await startSink()
  onTestFinished(() => sink.close())
  return sink
}

/** One ingest or several over one store, under load, with a sink for what they find. */
export type World = {
  readonly env: Env
  readonly sink: TestSink
  readonly load: Load
  readonly ingests: readonly Service[]
  /** SIGKILL, and another process in its place. */
  killAndStart(place?: number): Promise<void>
  /** Another process in the place of one that has ended. */
  start(place?: number): Promise<void>
  /**
   * Lets the load go on for a little while, ends it, and fails the test unless the store has every notification that
   * was acknowledged, and those of `waited` too, and the sink every entry of every log.
   */
  prove(options?: { waited?: 'buffered' | 'not promised' }): Promise<void>
}

export type WorldOptions = Pick<LoadOptions, 'everyMs' | 'clocks'> & { readonly processes?: number }

/** The load has begun when it resolves: some notifications of every node are acknowledged. */
export async function openWorld(
  { env: state }: { env: Env },
  { processes = 1, ...options }: WorldOptions = {},
): Promise<World> {
  const sink = await sinkOfTest()
  const env = environmentOf(state, sink)
  const ingests = await Promise.all(Array.from({ length: processes }, () => serve(['ingest'], env)))
  const load = startLoad({ urls: () => ingests.map(({ url }) => url), nodes: NODES, ...options })
  await load.more(5 * NODES.length)

  const start = async (place = 0) => {
    const { port } = new URL(ingests[place]?.url ?? '')
    ingests[place] = await serve(['ingest'], { ...env, PORT: port })
  }
  return {
    env,
    sink,
    load,
    ingests,
    start,
    async killAndStart(place = 0) {
      const killed = ingests[place]?.running
      killed?.kill('SIGKILL')
      await killed?.exit
      await start(place)
    },
    async prove({ waited = 'not promised' } = {}) {
      await load.more(5 * NODES.length)
      await load.stop()
      await proveNothingLost({ env, sink, load }, { waited })
    },
  }
}

/** What every process of such a world is told. */
export function environmentOf(state: Env, sink: TestSink): Env {
  return {
    PUBLISHERS: JSON.stringify(NODES.map((node) => ({ node, url: 'http://127.0.0.1:9' }))),
    HISTORY_PER_NODE: '1000',
    K_SINK: sink.url,
    ...state,
  }
}

/** {@link World.prove} once the load has ended. */
export async function proveNothingLost(
  { env, sink, load }: Pick<World, 'env' | 'sink' | 'load'>,
  { waited = 'not promised' }: { waited?: 'buffered' | 'not promised' } = {},
): Promise<void> {
  expect(lostFrom(await heldIn(env, NODES), load.acknowledged())).toEqual([])
  const refused = load.sent.filter(({ outcome }) => outcome === 503 && waited === 'buffered')
  if (waited === 'buffered') expect(refused).not.toEqual([])
  await vi.waitFor(async () => {
    const held = await heldIn(env, NODES)
    expect(lostFrom(held, refused)).toEqual([])
    expect(held.map(({ node }) => node)).toEqual(NODES)
    expect(held.flatMap((one) => wrongAtSink(one, sink.arrivals))).toEqual([])
    expect(held.flatMap(faultsOf)).toEqual([])
  }, AT_SINK)
}

/** A sink is tried again after up to 30 s; what waited for the API server takes a while to be written. Milliseconds. */
const AT_SINK = { timeout: 90_000, interval: 250 }

import { stringify } from 'yaml'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import type { Env } from '../runtime/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { createFunctions, metric, type Pod } from './broker/functions.ts'
import { documentsIn } from './broker/readings.ts'
import { createPingSource, type Tick } from './ping-source.ts'
import { functionContainers, ofKind, renderWith } from './support/render.ts'

const manifests = renderWith('red-hat-v2', ['state-redis'])
const NODES = ['a', 'b'].map((name) => `${name}.example.com`)
/** Never by a reading of ours, which is pulled: what is pushed would show without a tick. */
const SILENT = { kind: 'lock-state', announce: 'never' } as const

type Cluster = {
  readonly redis: RedisServer
  readonly publishers: readonly Publisher[]
  readonly ingest: Pod
  poll: Pod
  startPoll(): Promise<Pod>
  tick(): Promise<Tick>
  /** What the store says of the lock of each node. */
  locks(): Promise<unknown[]>
}

/** Two publishers whose clocks are locked, ingest, and poll as a Service; the first tick is over. */
async function startCluster(env: Env = {}): Promise<Cluster> {
  const redis = await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
  onTestFinished(() => redis.close())
  const publishers = NODES.map((node) => createRedHatV2({ node, release: 'main', warmUpMs: 0 }))
  for (const publisher of publishers) {
    onTestFinished(() => publisher.close())
    await publisher.listen()
    publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
  }
  const stateUrl = `redis://127.0.0.1:${redis.port}`
  const functions = createFunctions(manifests, {
    STATE_URL: stateUrl,
    K_SINK: '',
    SETTLE_SECONDS: '0',
    ...env,
  })
  const listed = publishers.map(({ node, url }) => ({ node, url, dialect: 'red-hat-v2' }))
  functions.image.mount(functions.environment('poll').PUBLISHERS ?? '', stringify(listed))
  const ingest = await functions.start('ingest')
  const startPoll = () => functions.start('poll', { CALLBACK_URL: ingest.url })
  const cluster = {
    redis,
    publishers,
    ingest,
    startPoll,
    poll: await startPoll(),
    tick: () => createPingSource(manifests, () => cluster.poll.url).tick(),
    async locks() {
      const documents = await documentsIn(stateUrl)
      return documents.map(({ clocks }) => clocks.find(({ kind }) => kind === 'lock-state')?.state)
    },
  }
  expect(await cluster.tick()).toMatchObject(ACCEPTED)
  return cluster
}

/** One try, answered 202 with nothing in it. */
const ACCEPTED = {
  attempts: [{ answer: { status: 202, body: Buffer.of() } }],
  result: { kind: 'delivered' },
}

const polls = async (poll: Pod) =>
  (await metric(poll, 'ptp_watch_polls_total{outcome="ok"}')) +
  (await metric(poll, 'ptp_watch_polls_total{outcome="failed"}'))

const running = (poll: Pod) =>
  vi.waitFor(async () => expect(await metric(poll, 'ptp_watch_poll_running')).toBe(1), { timeout: 60_000 })

describe('poll as a Service, ticked by its PingSource', () => {
  it('answers a tick during a run at once, and starts no second run', async () => {
    const { publishers, tick, poll } = await startCluster()
    await publishers[0]?.faults({ currentState: { all: 'hang' } })
    let over = false
    const first = tick().finally(() => {
      over = true
    })
    await running(poll)
    expect(await Promise.all([tick(), tick()])).toMatchObject([ACCEPTED, ACCEPTED])
    expect(over).toBe(false)
    await publishers[0]?.faults({ refuse: true })
    expect(await first).toMatchObject(ACCEPTED)
    // Two of the tick at the start, two of this one.
    expect(await polls(poll)).toBe(4)
  })

  it('ends a run at its deadline, answers 202, and runs anew at the next tick', async () => {
    const { publishers, tick, locks, poll } = await startCluster({ POLL_DEADLINE_SECONDS: '4' })
    const [hanging, sound] = publishers
    await hanging?.faults({ currentState: { all: 'hang' } })
    sound?.setClock({ ...SILENT, state: 'FREERUN', offset: 900 })
    expect(await tick()).toMatchObject(ACCEPTED)
    expect(await locks()).toEqual(['LOCKED', 'FREERUN'])
    expect(await metric(poll, 'ptp_watch_polls_total{outcome="failed"}')).toBe(1)

    await hanging?.faults({ clear: true })
    hanging?.setClock({ ...SILENT, state: 'FREERUN', offset: 900 })
    expect(await tick()).toMatchObject(ACCEPTED)
    expect(await locks()).toEqual(['FREERUN', 'FREERUN'])
  })

  it('answers the tick of a run that SIGTERM ends early, and another pod does the rest', async () => {
    const cluster = await startCluster()
    const { publishers, locks } = cluster
    const [hanging, sound] = publishers
    await hanging?.faults({ currentState: { all: 'hang' } })
    for (const publisher of publishers) publisher.setClock({ ...SILENT, state: 'FREERUN', offset: 900 })
    const ticking = cluster.tick()
    await vi.waitFor(async () => expect(await locks()).toEqual(['LOCKED', 'FREERUN']), { timeout: 60_000 })
    await cluster.poll.terminate()
    expect(await ticking).toMatchObject(ACCEPTED)
    expect(await locks()).toEqual(['LOCKED', 'FREERUN'])

    await hanging?.faults({ clear: true })
    sound?.setClock({ ...SILENT, state: 'HOLDOVER', offset: 90 })
    cluster.poll = await cluster.startPoll()
    expect(await cluster.tick()).toMatchObject(ACCEPTED)
    expect(await locks()).toEqual(['FREERUN', 'HOLDOVER'])
  })

  it('fails a tick while the store is away, which is tried again, and the first tick after it runs', async () => {
    const { redis, publishers, tick, locks } = await startCluster()
    await redis.stop('SIGKILL')
    for (const publisher of publishers) publisher.setClock({ ...SILENT, state: 'FREERUN', offset: 900 })
    const { attempts, result } = await tick()
    expect(attempts.map(({ answer }) => answer?.status)).toEqual([503, 503, 503, 503, 503, 503])
    expect(result).toMatchObject({ kind: 'dead', code: 503 })
    await redis.start()
    await vi.waitFor(async () => expect(await tick()).toMatchObject(ACCEPTED), { timeout: 60_000 })
    expect(await locks()).toEqual(['FREERUN', 'FREERUN'])
  })

  it('has time: a run ends before the next tick, and that before its pod is given up', () => {
    const poll = functionContainers(manifests).find(({ container }) => container.args?.[0] === 'poll')
    const deadline = poll?.container.env?.find(({ name }) => name === 'POLL_DEADLINE_SECONDS')
    const seconds = deadline !== undefined && 'value' in deadline ? Number(deadline.value) : Number.NaN
    const service = ofKind(manifests, 'Service', 'serving.knative.dev/v1').find(
      ({ metadata }) => metadata.name === 'poll',
    )
    expect(
      ofKind(manifests, 'PingSource', 'sources.knative.dev/v1').map(({ spec }) => spec.schedule),
    ).toEqual(['* * * * *'])
    expect(seconds).toBeLessThan(60)
    // With 30 s for Knative to find it idle.
    expect(service?.spec.template.spec.timeoutSeconds).toBeGreaterThanOrEqual(seconds + 30)
  })
})

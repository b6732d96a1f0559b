import { request } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import * as z from 'zod/mini'
import { EVENT_TYPES } from '#shared/broker/event.ts'
import { createCallback } from '#shared/callback.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isOurNotification, recordings } from '../recordings/recording.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Broker, type BrokerOptions, startBroker } from './broker/broker.ts'
import type { Attempt } from './broker/deliver.ts'
import { type CloudEvent, createEvent } from './broker/event.ts'
import { createFunctions, type Functions, metric, type Pod, shown } from './broker/functions.ts'
import { counted, documentsIn, eventOf, notShown, readings } from './broker/readings.ts'
import { type Trigger, triggerOf } from './broker/trigger.ts'
import { renderWith } from './support/render.ts'
import { SECRETS } from './support/secrets.ts'

/** The overlay for OpenShift with state in Redis, and a Broker that another cluster puts its events into. */
const manifests = renderWith('red-hat-v2', ['broker-input', 'state-redis'])
const secret = SECRETS['ptp-watch-callback/CALLBACK_SECRET'] ?? ''
const { brokerToken = '' } = createCallback({ url: 'http://ingest', secrets: [secret] })
const NODES = ['a', 'b', 'c', 'd'].map((name) => `${name}.elsewhere.example.com`)

type Cluster = {
  readonly broker: Broker
  readonly redis: RedisServer
  readonly stateUrl: string
  readonly functions: Functions
  /** Where the Trigger finds ingest: another pod may take its place. */
  ingest: Pod
}

/** A Redis that has on disk what it acknowledged, a Broker, its Trigger, and ingest behind it. */
async function startCluster(
  options: BrokerOptions & { trigger?: Partial<Trigger>; token?: string } = {},
): Promise<Cluster> {
  const redis = await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
  onTestFinished(() => redis.close())
  const { trigger, token = brokerToken, ...ofBroker } = options
  const broker = await startBroker(manifests, ofBroker)
  onTestFinished(() => broker.close())
  const stateUrl = `redis://127.0.0.1:${redis.port}`
  const functions = createFunctions(manifests, {
    STATE_URL: stateUrl,
    K_SINK: broker.url,
  })
  functions.image.mount(functions.environment('ingest').PUBLISHERS ?? '', '[]')
  const cluster = { broker, redis, stateUrl, functions, ingest: await functions.start('ingest') }
  const address = () => cluster.ingest.url
  broker.add({ ...triggerOf(manifests, { token, address }), ...trigger })
  return cluster
}

const json = (id: string, more: Record<string, string>, data: unknown) =>
  createEvent({ id, source: '/x', type: 'event.sync.x', ...more }, data)

const POISON: readonly { event: CloudEvent; status: number; error: { code: string; message: unknown } }[] = [
  {
    event: json('an event of something else', { type: 'order.placed' }, { order: 17 }),
    status: 400,
    error: { code: 'no-event', message: 'The JSON does not have the shape of any known event' },
  },
  {
    event: { ...json('JSON that breaks off', {}, ''), data: Buffer.from('{"values":') },
    status: 400,
    error: { code: 'not-json', message: expect.stringContaining('JSON') },
  },
  {
    event: { ...json('a picture', { datacontenttype: 'image/png' }, ''), data: Buffer.of(137, 80, 78, 71) },
    status: 415,
    error: { code: 'unsupported-media-type', message: expect.stringContaining('image/png') },
  },
  {
    event: json('another version of CloudEvents', { specversion: '0.2' }, {}),
    status: 400,
    error: { code: 'no-cloudevent', message: 'CloudEvents 0.2 is neither 1.0 nor 0.3' },
  },
  {
    event: eventOf({ node: '..', clock: 'ens1fx/master', state: 'LOCKED', at: '2026-11-23T03:48:28Z' }),
    status: 400,
    error: { code: 'no-node', message: expect.stringContaining('node') },
  },
]

const answersOf = (attempts: readonly Attempt[]) =>
  attempts.map(({ answer }) => (answer === undefined ? 'none' : `${answer.status} ${answer.body}`))

describe('the Trigger of broker-input, ingest behind it', () => {
  it.each(['binary', 'structured'] as const)(
    'takes recorded events in %s mode: each is answered 202 without a body, and says what it says when it is pushed',
    async (mode) => {
      const { broker, ingest, stateUrl } = await startCluster({ mode })
      const callback = createCallback({ url: ingest.url, secrets: [secret] })
      const bodies = recordings()
        .filter(({ name }) => name === 'main-v2/events-oc')
        .flatMap(({ exchanges }) => exchanges.filter(isOurNotification))
        .map(({ request: { body } }) => body ?? '')
      for (const body of bodies) {
        const answer = await request(callback.endpointFor('node1.example.com'), { method: 'POST', body })
        expect(answer.statusCode).toBe(204)
        await answer.body.dump()
        const { data, ...attributes } = JSON.parse(body.replaceAll('node1.example.com', 'node2.example.com'))
        await broker.publish(createEvent(attributes, data))
        await broker.idle()
      }
      await ingest.terminate()

      expect(bodies.length).toBeGreaterThan(10)
      expect(answersOf(broker.attempts)).toEqual(bodies.map(() => '202 '))
      const [pushed, delivered] = await documentsIn(stateUrl)
      const said = ({ clocks }: NonNullable<typeof pushed>) =>
        clocks.map(({ kind, instance, state, metrics, since, observedAt }) => ({
          kind,
          instance,
          state,
          metrics,
          since,
          observedAt,
        }))
      expect(pushed && delivered && said(delivered)).toEqual(pushed && said(pushed))
      expect(delivered?.counters).toEqual(pushed?.counters)
    },
  )

  it('refuses what no retry makes better at once and for good, and the Jobs of the dead letters show why', async () => {
    const { broker, functions } = await startCluster()
    for (const { event } of POISON) await broker.publish(event)
    await broker.idle()
    expect(broker.attempts).toHaveLength(POISON.length)
    for (const { event, status, error } of POISON) {
      const { id = '' } = event.attributes
      const letter = broker.deadLetters.find(({ attributes }) => attributes.id === id)
      const job = await shown(functions.image, manifests, letter ?? event)
      expect(job).toMatchObject({ code: String(status), event: { id } })
      expect(JSON.parse(reasonIn.parse(job).reason)).toEqual({ error })
    }
  })

  it('refuses for good what comes with another token, such as one of an old secret', async () => {
    const { broker } = await startCluster({ token: 'another' })
    for (const one of readings(NODES, 1)) await broker.publish(eventOf(one))
    await broker.idle()
    expect(new Set(broker.attempts.map(({ answer }) => answer?.status))).toEqual(new Set([403]))
    expect(broker.deadLetters.map(({ attributes }) => attributes.id)).toEqual(
      expect.arrayContaining(broker.events.map(({ attributes }) => attributes.id)),
    )
  })

  it.each([
    {
      how: 'is killed and started again',
      away: (redis: RedisServer) => redis.stop('SIGKILL'),
      back: (redis: RedisServer) => redis.start(),
    },
    {
      how: 'stands still',
      away: (redis: RedisServer) => redis.signal('SIGSTOP'),
      back: (redis: RedisServer) => redis.signal('SIGCONT'),
    },
  ])(
    'loses nothing while Redis $how: it is refused with 503, tried again, and stored',
    async ({ away, back }) => {
      const { broker, redis, ingest, stateUrl } = await startCluster()
      const sent = readings(NODES, 40)
      const half = sent.length / 2
      const refused = () => broker.attempts.filter(({ answer }) => answer?.status === 503)

      for (const one of sent.slice(0, half)) await broker.publish(eventOf(one))
      await broker.until(() => broker.attempts.length > half / 2)
      await away(redis)
      for (const one of sent.slice(half)) await broker.publish(eventOf(one))
      await broker.until(() => refused().length > half)
      await back(redis)
      await broker.idle()
      await ingest.terminate()

      for (const { answer } of refused()) expect(JSON.parse(String(answer?.body)).error.code).toBe('store')
      expect(broker.deadLetters).toEqual([])
      const documents = await documentsIn(stateUrl)
      expect(notShown(documents, sent)).toEqual([])
      expectCounted(documents, sent.length)
    },
  )

  it('gives up after all tries with the reason, where the store stays away', async () => {
    const pauses: number[] = []
    const { broker, redis, functions } = await startCluster({ pause: async (ms) => void pauses.push(ms) })
    await redis.stop('SIGKILL')
    const [one] = readings(NODES, 1)
    if (one !== undefined) await broker.publish(eventOf(one))
    await broker.idle()
    expect(broker.attempts).toHaveLength(11)
    expect(pauses).toEqual(Array.from({ length: 10 }, (_, tries) => 500 * 2 ** tries))
    const [letter] = broker.deadLetters
    const job = letter && (await shown(functions.image, manifests, letter))
    expect(job).toMatchObject({ code: '503' })
    expect(JSON.parse(reasonIn.parse(job).reason)).toEqual({
      error: { code: 'store', message: 'The store did not accept the event; retry' },
    })
  })

  it('counts as a duplicate, and as nothing else, what comes again because its answer was lost', async () => {
    const seen = new Set<string>()
    const loses = ({ event: { attributes } }: Attempt) => {
      const first = !seen.has(attributes.id ?? '')
      seen.add(attributes.id ?? '')
      return first && Number(attributes.id?.at(-2)) % 2 === 0
    }
    const { broker, ingest, stateUrl } = await startCluster({ loses, ordered: true, pause: async () => {} })
    const sent = readings(NODES, 20)
    for (const one of sent) await broker.publish(eventOf(one))
    await broker.idle()
    await ingest.terminate()

    const again = broker.attempts.length - sent.length
    expect(again).toBeGreaterThan(10)
    const documents = await documentsIn(stateUrl)
    expect(notShown(documents, sent)).toEqual([])
    expect(counted(documents)).toEqual({ received: sent.length + again, duplicate: again, late: 0 })
    // One transition each, whatever came twice.
    expect(changesIn(broker)).toHaveLength(sent.length)
  })

  it('loses nothing when its pod is ended in the middle and another takes its place', async () => {
    const cluster = await startCluster()
    const { broker, functions, stateUrl } = cluster
    const sent = readings(NODES, 60)
    const half = sent.length / 2
    const publishing = Promise.all(sent.slice(0, half).map((one) => broker.publish(eventOf(one))))
    await broker.until(() => broker.attempts.length > 20)
    await cluster.ingest.terminate()
    await publishing
    await Promise.all(sent.slice(half).map((one) => broker.publish(eventOf(one))))
    await broker.until(() => broker.attempts.some(({ answer }) => answer === undefined))
    cluster.ingest = await functions.start('ingest')
    await broker.idle()
    await cluster.ingest.terminate()

    // What it had taken on is answered: only who came when it was gone found nobody.
    expect(new Set(answersOf(broker.attempts))).toEqual(new Set(['202 ', 'none']))
    expect(broker.deadLetters).toEqual([])
    const documents = await documentsIn(stateUrl)
    expect(notShown(documents, sent)).toEqual([])
    expectCounted(documents, sent.length)
  })

  it.each([
    { how: 'with the filter of its Trigger', trigger: {}, returned: 0 },
    { how: 'without it', trigger: { filters: [] }, returned: 1 },
  ])('sends nothing round in a circle, $how', async ({ trigger, returned }) => {
    const { broker, ingest } = await startCluster({ trigger, ordered: true })
    const sent = readings(NODES, 5)
    for (const one of sent) await broker.publish(eventOf(one))
    await broker.until(() => changesIn(broker).length === sent.length)
    await vi.waitFor(
      async () => {
        expect(await metric(ingest, 'ptp_watch_forward_waiting_nodes')).toBe(0)
      },
      { timeout: 60_000 },
    )
    await broker.idle()

    const own = ownOf(broker).length
    expect(own).toBeGreaterThan(sent.length)
    expect(broker.attempts).toHaveLength(sent.length + returned * own)
    expect(await metric(ingest, 'ptp_watch_events_total{outcome="own"}')).toBe(returned * own)
    await ingest.terminate()
    expect(ownOf(broker)).toHaveLength(own)
  })
})

/** Each event once, and what came again, since its answer was lost, as a duplicate, or late where newer ones were there. */
function expectCounted(documents: readonly NodeState[], events: number): void {
  const { received, duplicate, late } = counted(documents)
  expect(received - duplicate).toBeGreaterThanOrEqual(events)
  expect(received - duplicate - late).toBeLessThanOrEqual(events)
}

/** The types of the events in the Broker that we have sent ourselves. */
function ownOf({ events }: Broker): string[] {
  return events.flatMap(({ attributes: { type = '' } }) => (type.startsWith('ptpwatch.') ? [type] : []))
}

function changesIn(broker: Broker): string[] {
  return ownOf(broker).filter((type) => type === EVENT_TYPES.changed)
}

const reasonIn = z.object({ reason: z.string() })

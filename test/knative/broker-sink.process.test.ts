import { stringify } from 'yaml'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import * as z from 'zod/mini'
import { createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import { EVENT_TYPES } from '#shared/broker/event.ts'
import { faultsOf, heldIn, wrongAtSink } from '../faults/support/audit.ts'
import { startRedis } from '../support/redis.ts'
import type { Arrival } from '../support/sink.ts'
import { startBroker } from './broker/broker.ts'
import { readEvent } from './broker/event.ts'
import { createFunctions, metric } from './broker/functions.ts'
import { type Received, startSubscriber } from './broker/subscriber.ts'
import { createPingSource } from './ping-source.ts'
import { renderWith } from './support/render.ts'

const manifests = renderWith('red-hat-v2', ['state-redis'])
const NODES = ['a', 'b', 'c'].map((name) => `${name}.example.com`)

describe('what ingest and poll send to the Broker', () => {
  it.each([
    { order: 'in the order of each node where the Broker keeps that of partition keys', ordered: true },
    { order: 'in any order where it keeps none, and `sequence` tells which', ordered: false },
  ])('reaches a Trigger’s subscriber that fails now and then: all of it, $order', async ({ ordered }) => {
    const redis = await startRedis({ config: ['appendonly yes', 'appendfsync always'] })
    onTestFinished(() => redis.close())
    const broker = await startBroker(manifests, { ordered, pause: async () => {} })
    onTestFinished(() => broker.close())
    const subscriber = await startSubscriber((number) => ({ status: number % 4 === 3 ? 503 : 204 }))
    broker.add({ name: 'dashboard', filters: [], destination: () => subscriber.url })

    const env = { STATE_URL: `redis://127.0.0.1:${redis.port}`, K_SINK: broker.url, SETTLE_SECONDS: '0' }
    const functions = createFunctions(manifests, env)
    const publishers = await Promise.all(NODES.map(startPublisher))
    const listed = publishers.map(({ node, url }) => ({ node, url, dialect: 'red-hat-v2' }))
    functions.image.mount(functions.environment('poll').PUBLISHERS ?? '', stringify(listed))
    const ingest = await functions.start('ingest')
    const poll = await functions.start('poll', { CALLBACK_URL: ingest.url })
    const { tick } = createPingSource(manifests, () => poll.url)
    await tick()

    for (const publisher of publishers) {
      for (let turn = 0; turn < 15; turn += 1)
        publisher.setClock({ kind: 'clock-class', clockClass: 100 + turn })
    }
    await Promise.all(publishers.map((publisher) => publisher.idle()))
    // Not pushed: what one poll finds, and the next one calls missed.
    for (const publisher of publishers)
      publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900, announce: 'never' })
    await tick()
    await tick()
    await vi.waitFor(
      async () => {
        expect(await metric(ingest, 'ptp_watch_forward_waiting_nodes')).toBe(0)
      },
      { timeout: 60_000 },
    )
    await broker.idle()

    const held = await heldIn(env, NODES)
    expect(held.flatMap(faultsOf)).toEqual([])
    for (const { log } of held) expect(log.length).toBeGreaterThan(16)
    const arrivals = subscriber.received.map(arrivalOf)
    const types = new Set(arrivals.map(({ event }) => event.type))
    expect([...types]).toEqual(expect.arrayContaining([EVENT_TYPES.changed, EVENT_TYPES.missed]))
    const inOrder = ordered
      ? arrivals
      : arrivals.toSorted((a, b) => (a.event.sequence < b.event.sequence ? -1 : 1))
    expect(held.flatMap((one) => wrongAtSink(one, inOrder))).toEqual([])
    expect(broker.deadLetters).toEqual([])
    for (const { event } of arrivals) expect(event.partitionkey).toBe(event.node)
  })
})

async function startPublisher(node: string): Promise<Publisher> {
  const publisher = createRedHatV2({ node, release: 'main', warmUpMs: 0 })
  onTestFinished(() => publisher.close())
  await publisher.listen()
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
  return publisher
}

const delivered = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  sequence: z.string(),
  node: z.string(),
  data: z.looseObject({ seq: z.number(), node: z.string() }),
})

/** A delivery as the audit of the logs looks at it. */
function arrivalOf({ headers, body, status }: Received): Arrival {
  const event = readEvent(headers, body)
  const data: unknown = JSON.parse(String(event?.data))
  return { event: delivered.parse({ ...event?.attributes, data }), headers, body: String(body), status }
}

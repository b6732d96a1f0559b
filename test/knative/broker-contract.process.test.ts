import { describe, expect, it, onTestFinished } from 'vitest'
import { type BrokerOptions, startBroker } from './broker/broker.ts'
import { pauseAfter } from './broker/contract.ts'
import { createEvent, readEvent } from './broker/event.ts'
import { type Reply, startSubscriber } from './broker/subscriber.ts'
import type { Filter } from './broker/trigger.ts'
import { renderOverlay } from './support/render.ts'

/** What knative/specs, specs/eventing/data-plane.md, demands of a Broker, so that the one of these tests keeps to it. */

const EVENT = createEvent({ id: '1', source: '/elsewhere', type: 'a.type' }, { some: 'data' })

/** The last reply again and again. */
const inTurn = (...replies: readonly (Reply | 'hang')[]) =>
  startSubscriber((number) => replies[Math.min(number, replies.length - 1)] ?? 'hang')

const DELIVERY = {
  retry: 3,
  backoffPolicy: 'exponential',
  backoffDelay: 'PT0.2S',
  timeout: 'PT10S',
  deadLetterSink: { ref: { name: 'dead-letters' } },
} as const

/** The Broker of the manifests, one Trigger, one event; resolves when it is done with. */
async function deliverTo(
  subscriber: { url: string },
  {
    filters = [],
    timeout = DELIVERY.timeout,
    ...options
  }: BrokerOptions & { filters?: Filter[]; timeout?: string } = {},
) {
  const pauses: number[] = []
  const pause = async (ms: number) => void pauses.push(ms)
  const broker = await startBroker(renderOverlay('dev'), { pause, ...options })
  onTestFinished(() => broker.close())
  broker.add({ name: 'it', filters, delivery: { ...DELIVERY, timeout }, destination: () => subscriber.url })
  await broker.publish(EVENT)
  await broker.idle()
  return { ...broker, pauses }
}

const CLOUD_EVENT = { 'ce-specversion': '1.0', 'ce-id': '2', 'ce-source': '/reply', 'ce-type': 'a.reply' }

describe('the Broker of these tests', () => {
  it.each<Reply>([
    { status: 200 },
    { status: 202 },
    { status: 204 },
    { status: 202, headers: CLOUD_EVENT, body: '{}' },
  ])('is content with $status and what comes with it', async (reply) => {
    const subscriber = await inTurn(reply)
    const { deadLetters, events } = await deliverTo(subscriber)
    expect([subscriber.received.length, deadLetters.length, events.length]).toEqual([1, 0, 1])
  })

  it.each<Reply & { code: number }>([
    ...[404, 408, 409, 429, 500, 502, 503, 504].map((status) => ({ status, code: status })),
    { status: 200, body: 'ok', code: 502 },
    { status: 202, body: 'Accepted', code: 502 },
    { status: 200, headers: { 'content-type': 'application/json' }, body: '{}', code: 502 },
    {
      status: 200,
      headers: { 'content-type': 'application/cloudevents+json' },
      body: '{"id":"2"}',
      code: 502,
    },
  ])(
    'tries again after $status $body, with back-off, and then gives it to the dead letter sink',
    async (reply) => {
      const subscriber = await inTurn(reply)
      const { deadLetters, pauses } = await deliverTo(subscriber)
      expect(subscriber.received).toHaveLength(4)
      expect(pauses).toEqual([200, 400, 800])
      expect(deadLetters.map(({ attributes }) => attributes.knativeerrorcode)).toEqual([String(reply.code)])
    },
  )

  it.each([300, 302, 400, 401, 403, 405, 413, 415, 422])('never tries again after %d', async (status) => {
    const subscriber = await inTurn({ status, body: `because of ${'x'.repeat(2000)}` })
    const { deadLetters } = await deliverTo(subscriber)
    expect(subscriber.received).toHaveLength(1)
    const [{ attributes = {}, data } = {}] = deadLetters
    expect({ ...attributes, knativeerrordata: '' }).toMatchObject({
      ...EVENT.attributes,
      knativeerrorcode: String(status),
      knativeerrordest: subscriber.url,
    })
    expect(attributes.knativeerrordata).toHaveLength(1024)
    expect(String(Buffer.from(attributes.knativeerrordata ?? '', 'base64'))).toMatch(/^because of x+$/)
    expect(data).toEqual(EVENT.data)
  })

  it('tries again where no answer comes in time, or where nobody is', async () => {
    const subscriber = await inTurn('hang', { status: 202 })
    const slow = await deliverTo(subscriber, { timeout: 'PT0.2S' })
    expect([subscriber.received.length, slow.deadLetters.length]).toEqual([2, 0])
    const { deadLetters } = await deliverTo({ url: 'http://127.0.0.1:1/' })
    expect(deadLetters.map(({ attributes }) => attributes.knativeerrorcode)).toEqual(['500'])
  })

  it('puts an event that comes with a 200 back into itself, and lets it not go round for ever', async () => {
    const subscriber = await inTurn({ status: 200, headers: CLOUD_EVENT, body: '{}' })
    const { events } = await deliverTo(subscriber)
    expect(events).toHaveLength(255)
    expect(events[1]?.attributes).toMatchObject({ id: '2', type: 'a.reply' })
  })

  it.each(['binary', 'structured'] as const)('delivers in %s mode, and asks for a reply', async (mode) => {
    const subscriber = await inTurn({ status: 202 })
    await deliverTo(subscriber, { mode })
    const [{ headers = {}, body = Buffer.of() } = {}] = subscriber.received
    expect(headers.prefer).toBe('reply')
    expect(headers['content-type']).toBe(
      mode === 'binary' ? 'application/json' : 'application/cloudevents+json',
    )
    expect(headers['ce-id']).toBe(mode === 'binary' ? '1' : undefined)
    expect(readEvent(headers, body)).toMatchObject({ attributes: EVENT.attributes, data: EVENT.data })
  })

  it('delivers only what the filters of its Trigger let through', async () => {
    const subscriber = await inTurn({ status: 202 })
    await deliverTo(subscriber, { filters: [{ not: { prefix: { type: 'a.' } } }] })
    await deliverTo(subscriber, { filters: [{ not: { prefix: { type: 'b.' } } }] })
    expect(subscriber.received).toHaveLength(1)
  })

  it('waits longer by as much each time where the policy is linear', () => {
    const delivery = { ...DELIVERY, backoffPolicy: 'linear' } as const
    expect([0, 1, 2].map((tries) => pauseAfter(tries, delivery))).toEqual([0, 200, 400])
  })
})

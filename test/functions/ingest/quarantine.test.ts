import { request } from 'undici'
import { describe, expect, test } from 'vitest'
import { createTold } from '#functions/ingest/quarantine.ts'
import { readConfig } from '#shared/config/index.ts'
import { isNodeName } from '#shared/config/publishers.ts'
import { createLog } from '#shared/log.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { notification, text } from './notifications.ts'
import { ingestOver } from './over-driver.ts'

const node = 'node1.example.com'

async function ingest() {
  const over = await ingestOver(createMemoryDriver(), [node])
  const post = async (body: string | Buffer, path = `/event/${node}`) => {
    const reply = await request(`${over.url}${path}`, { method: 'POST', body })
    return [reply.statusCode, await reply.body.text()]
  }
  return { ...over, post }
}

test('of the bodies that are no events the newest few are kept, the beginning of each', async () => {
  const { post, store } = await ingest()
  for (let number = 1; number <= 7; number += 1) {
    expect(await post(text({ number, text: 'ü'.repeat(2_000) }))).toEqual([204, ''])
  }
  const state = await store.read(node)
  expect(state?.quarantine.map(({ body }) => body.slice(0, 11))).toEqual(
    [3, 4, 5, 6, 7].map((number) => `{"number":${number}`),
  )
  for (const { body } of state?.quarantine ?? []) expect(body.length).toBeLessThanOrEqual(1_024)
  expect(state?.counters).toMatchObject({ received: 7, quarantined: 7 })
  expect(state?.clocks).toEqual([])
})

test('a body is kept as it came, and told with the reason', async () => {
  const { post, store, metric } = await ingest()
  const body = '{ "a" : 1.0 }'
  await post(body)
  await post(text(notification({ node: 'other.example.com' })))
  const [first, second] = (await store.read(node))?.quarantine ?? []
  expect(first).toEqual({
    body,
    reason: 'The JSON does not have the shape of any known event',
    receivedAt: expect.any(String),
  })
  expect(second?.reason).toContain('other.example.com')
  expect(metric('ptp_watch_quarantined_total{reason="no-event"}')).toBe(1)
  expect(metric('ptp_watch_quarantined_total{reason="other-node"}')).toBe(1)
  expect(metric('ptp_watch_events_total{outcome="quarantined"}')).toBe(2)
})

test('what nobody is known to send is counted and not kept', async () => {
  const { post, store, metric } = await ingest()
  await post(text(notification({ node: 'unknown' })), '/event/unknown')
  await post('{"a":1}', '/event/unknown')
  await post('{"a":1}', '/event')
  await post(text(notification({ node: '-' })), '/event')
  expect(metric('ptp_watch_events_total{outcome="unknown"}')).toBe(4)
  expect(metric('ptp_watch_quarantined_total{reason="no-event"}')).toBe(2)
  expect(metric('ptp_watch_quarantined_total{reason="no-node"}')).toBe(1)
  expect((await store.list({ limit: 10 })).nodes).toEqual([])
})

test.each([
  ['an event', [notification({ node })], 'applied'],
  ['a duplicate', [notification({ node }), notification({ node })], 'duplicate'],
  ['a placeholder', [placeholder()], 'placeholder'],
])('%s is counted for what it is', async (_, bodies, outcome) => {
  const { post, metric } = await ingest()
  for (const body of bodies) await post(text(body))
  expect(metric(`ptp_watch_events_total{outcome="${outcome}"}`)).toBe(1)
})

function placeholder() {
  return {
    ...notification({ node }),
    data: { values: [{ ResourceAddress: `/cluster/node/${node}/ptp-not-set`, value: 'FREERUN' }] },
  }
}

describe('what may come in any number', () => {
  const told = () => {
    const lines: { node: string; reason?: string; times: number }[] = []
    let now = 0
    const log = createLog({ level: 'warn', now: () => now, write: (line) => lines.push(JSON.parse(line)) })
    const pass = (ms: number) => {
      now += ms
    }
    return { ...createTold(log, () => now, 'quarantined'), lines, pass }
  }

  test('is told when it is new and ever more seldom after, for each node and reason', () => {
    const { add, lines } = told()
    for (let time = 1; time <= 150; time += 1) add('often', 'no-time', { detail: String(time) })
    add('often', 'no-kind')
    add('seldom', 'no-time')
    expect(lines.map(({ node, reason, times }) => [node, reason, times])).toEqual([
      ['often', 'no-time', 1],
      ['often', 'no-time', 10],
      ['often', 'no-time', 100],
      ['often', 'no-kind', 1],
      ['seldom', 'no-time', 1],
    ])
  })

  test('is told again a minute later, with how often it came', () => {
    const { add, lines, pass } = told()
    for (let second = 0; second < 125; second += 1) {
      add('n', 'no-time')
      pass(1_000)
    }
    expect(lines.map(({ times }) => times)).toEqual([1, 10, 70, 100])
  })

  test('is told together where it is of more than a thousand kinds, and every name is cut', () => {
    const { add, lines } = told()
    for (let number = 1; number <= 21_000; number += 1) add(`${'x'.repeat(300)}${number}`, 'unknown node')
    expect(lines.filter(({ reason }) => reason !== undefined)).toHaveLength(1_000)
    expect(lines.slice(1_000).map(({ node, times }) => [node, times])).toEqual(
      [1, 10, 100, 1_000, 10_000].map((times) => ['(more nodes)', times]),
    )
    expect(Math.max(...lines.map(({ node }) => node.length))).toBe(80)
  })
})

test.each([
  'a',
  'node1.example.com',
  'Node_1',
  'controller-0',
  'x'.repeat(253),
  'x'.repeat(254),
  '',
  '-a',
  'a-',
  'a b',
  'ü',
  '..',
])(
  'what the configuration takes for the name of a node is one here, and nothing else: "%.20s"',
  async (name) => {
    const env = { PUBLISHERS: text([{ node: name, url: 'http://127.0.0.1:9' }]) }
    const configurable = await readConfig(env).then(
      () => true,
      () => false,
    )
    expect(isNodeName(name)).toBe(configurable)
  },
)

import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createRedHatV1, createRedHatV2, createStarlingX } from '#local/publishers/index.ts'
import { KIND_NAMES } from '#shared/kinds.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { listen } from '../support/listen.ts'
import { createWorld } from '../support/world.ts'

const NODE = 'controller-0'
const LACKING = ['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality']
const HOUR_MS = 3_600_000

async function starlingx(options: { format?: 'standard' | 'legacy'; instances?: object } = {}) {
  const { format = 'standard', instances = {} } = options
  const publisher = using(createStarlingX({ node: NODE, warmUpMs: 0, notificationFormat: format, instances }))
  await publisher.listen()
  const consumer = await startConsumer()
  const target = { node: NODE, url: publisher.url, dialect: 'auto' } as const
  let now = Date.now()
  const clock = { now: () => now }
  const world = createWorld({ targets: [target], callbackUrl: consumer.url, clock })
  return { publisher, consumer, target, world, forward: (ms: number) => (now += ms) }
}

test.each(['standard', 'legacy'] as const)(
  'kinds that the host has no instance of are reported, and no failure (%s)',
  async (format) => {
    const { publisher, target, world } = await starlingx({ format, instances: { ts: [], synce: [] } })
    const kept = await world.reconciler.reconcile(target)
    expect(kept).toMatchObject({ outcome: 'ok', problems: [], retryable: false })
    expect(kept.lacking.map(({ kind, answers }) => [kind, answers])).toEqual(
      LACKING.map((kind) => [kind, true]),
    )
    expect(publisher.subscriptions()).toHaveLength(4)
    // Pulled all the same: what they answer may prove that there is none, or that there is one now.
    expect(kept.resources).toHaveLength(7)
    const told = () => world.lines.filter(({ message }) => message.startsWith('kind not offered'))
    expect(told()).toHaveLength(3)
    await world.reconciler.reconcile(target)
    expect(told()).toHaveLength(3)
  },
)

test('a host without any PTP instance is subscribed to for all else', async () => {
  const { publisher, target, world } = await starlingx({ instances: { ptp: [] } })
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'ok', problems: [] })
  expect(kept.lacking.map(({ kind }) => kind)).toEqual(['lock-state', 'clock-class'])
  expect(publisher.subscriptions()).toHaveLength(5)
})

test('what the host lacks is asked for again after an hour, by whichever process', async () => {
  const { publisher, target, world, consumer, forward } = await starlingx({ instances: { synce: [] } })
  await world.reconciler.reconcile(target)
  const next = () => createWorld({ targets: [target], callbackUrl: consumer.url, store: world.store })
  const creates = async (reconciler = next().reconciler) => {
    const kept = await reconciler.reconcile(target)
    return kept.plan.filter((step) => step.do === 'create').length
  }
  expect(await creates()).toBe(0)
  forward(HOUR_MS)
  expect(await creates(world.reconciler)).toBe(2)
  expect(await creates(world.reconciler)).toBe(0)
  expect(publisher.subscriptions()).toHaveLength(5)
})

/** In front of a publisher: answers creates of one kind as it is told, and hands all else on. */
async function inFrontOf(url: string, path: string, status: number | 'hang' | 'reset') {
  const refusals: string[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    if (request.method === 'POST' && body.includes(path)) {
      refusals.push(body)
      if (status === 'hang') return
      if (status === 'reset') return void request.socket.destroy()
      return void response.writeHead(status).end()
    }
    const { method = 'GET', url: target = '/' } = request
    const answer = await fetch(`${url}${target.replaceAll('/./', '/%2E/')}`, {
      method,
      ...(body !== '' && { body }),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
  })
  return { url: await listen(server), refusals }
}

const REFUSALS = [400, 404, 409, 422, 500, 503, 'reset'] as const

test.each(REFUSALS)(
  'a kind that Red Hat v2 refuses with %s costs no other kind its subscription',
  async (status) => {
    const node = 'node1.example.com'
    const publisher = using(createRedHatV2({ node, release: 'main', warmUpMs: 0 }))
    await publisher.listen()
    const consumer = await startConsumer()
    const { url, refusals } = await inFrontOf(publisher.url, 'os-clock-sync-state', status)
    const target = { node, url, dialect: 'red-hat-v2' } as const
    const world = createWorld({ targets: [target], callbackUrl: consumer.url })
    const kept = await world.reconciler.reconcile(target)
    expect(publisher.subscriptions()).toHaveLength(6)
    expect(refusals).toHaveLength(1)
    if (status === 404) {
      expect(kept).toMatchObject({
        outcome: 'ok',
        lacking: [{ kind: 'os-clock-sync-state', answers: false }],
      })
    } else {
      expect(kept).toMatchObject({ outcome: 'failed', lacking: [] })
      expect(kept.problems).toEqual([expect.stringContaining('os-clock-sync-state')])
    }
  },
)

test.each([400, 500, 'reset'] as const)(
  'a kind that a v1 sidecar refuses with %s costs no other',
  async (status) => {
    const node = 'node1.example.com'
    const publisher = using(createRedHatV1({ node, release: '4.18', warmUpMs: 0 }))
    await publisher.listen()
    const consumer = await startConsumer()
    const { url } = await inFrontOf(publisher.url, 'ptp-status/lock-state', status)
    const target = { node, url, dialect: 'red-hat-v1' } as const
    const world = createWorld({ targets: [target], callbackUrl: consumer.url })
    const kept = await world.reconciler.reconcile(target)
    expect(publisher.subscriptions()).toHaveLength(4)
    // The sidecar refuses endpoints, never kinds.
    expect(kept).toMatchObject({ outcome: 'failed', retryable: true, lacking: [] })
  },
)

test('a publisher that stops answering is left after a second try', async () => {
  const node = 'node1.example.com'
  const publisher = using(createRedHatV2({ node, release: 'main', warmUpMs: 0 }))
  await publisher.listen()
  const consumer = await startConsumer()
  const { url, refusals } = await inFrontOf(publisher.url, 'EndpointUri', 'reset')
  const target = { node, url, dialect: 'red-hat-v2' } as const
  const world = createWorld({ targets: [target], callbackUrl: consumer.url })
  expect(await world.reconciler.reconcile(target)).toMatchObject({
    outcome: 'failed',
    retryable: true,
    lacking: [],
  })
  expect(refusals).toHaveLength(2)
})

test('where every kind is refused, it is our endpoint, told once', async () => {
  const { consumer, target, world } = await starlingx()
  consumer.answer(() => 500)
  const kept = await world.reconciler.reconcile(target)
  expect(kept).toMatchObject({ outcome: 'failed', retryable: true, lacking: [] })
  expect(kept.problems).toEqual([expect.stringContaining(`it must reach ${consumer.url}`)])
  expect(kept.problems[0]).toContain(KIND_NAMES.join(' '))
})

test('one subscription that cannot be deleted keeps no other', async () => {
  const { publisher, target, world } = await starlingx()
  await world.reconciler.reconcile(target)
  const [first] = publisher.subscriptions()
  if (first === undefined) throw new Error('no subscription')
  const server = createServer(async (request, response) => {
    if (request.method === 'DELETE' && request.url?.includes(first.id)) {
      return void response.writeHead(500).end()
    }
    const { method = 'GET', url = '/' } = request
    const answer = await fetch(`${publisher.url}${url}`, { method })
    response.writeHead(answer.status).end(answer.status === 204 ? undefined : await answer.text())
  })
  const behind = { ...target, url: await listen(server), dialect: 'starlingx-v2' } as const
  const kept = await world.reconciler.remove(behind)
  expect(publisher.subscriptions()).toEqual([first])
  expect(kept).toMatchObject({ outcome: 'failed', applied: { removed: 6 } })
})

import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createSubscribeHandler, type Progress, subscribeAll } from '#functions/subscribe/run.ts'
import { createProgress } from '#functions/subscribe/print.ts'
import { silentLog } from '#shared/log.ts'
import type { Reconciled } from '#shared/publishers/reconcile/reconciler.ts'
import type { Target } from '#shared/publishers/target.ts'
import { type HttpRequest, replyOf } from '#shared/runtime/reply.ts'
import { systemClock } from '#shared/time.ts'
import { startConsumer } from '../../publishers/support/consumer.ts'
import { listen } from '../../publishers/support/listen.ts'
import { createWorld } from '../../publishers/support/world.ts'
import { held, startFleet, targetsOf } from './fleet.ts'

const named = async (target: Target) => target
const foundAs = (targets: readonly Target[]) => async () => ({ targets, unnamed: [], failure: undefined })

function runOver(
  targets: readonly Target[],
  callbackUrl: string,
  options: { deadlineMs?: number; concurrency?: number; signal?: AbortSignal } = {},
) {
  const { deadlineMs = 0, concurrency = 4, signal } = options
  const { reconciler } = createWorld({ targets, callbackUrl })
  const prove = async () => ({ outcome: 'proven' }) as const
  const deps = {
    reconciler,
    find: foundAs(targets),
    named,
    prove,
    pollConcurrency: concurrency,
    subscribeDeadlineMs: deadlineMs,
    clock: systemClock,
    random: () => 0,
  }
  return async (tell?: Progress) =>
    (await subscribeAll(deps, { ...(tell && { tell }), ...(signal && { signal }) })).results
}

test('one run subscribes at publishers of every dialect, one that is warming up among them', async () => {
  const publishers = await startFleet(3_600_000)
  const consumer = await startConsumer()
  const run = runOver(targetsOf(publishers), consumer.url, { deadlineMs: 20_000 })
  const waited: string[] = []

  const results = await run(({ waiting = [] }) => {
    waited.push(...waiting.map(({ node }) => node))
    if (waiting.length > 0) publishers[0]?.becomeReady()
  })

  expect(results.map(({ outcome }) => outcome)).toEqual(Array.from(publishers, () => 'ok'))
  expect(held(publishers)).toEqual([7, 5, 5, 5, 7])
  expect(waited).toEqual(['worker-0.site-a.example.com'])
})

test('what was made in earlier tries is counted in the end', async () => {
  const [publisher] = await startFleet()
  if (publisher === undefined) throw new Error('The fleet is empty')
  const consumer = await startConsumer()
  const state = { refusing: true }
  consumer.answer(({ body }) => (state.refusing && body.includes('clock-class') ? 500 : 204))
  publisher.setClock({ kind: 'clock-class', clockClass: 6 })
  const run = runOver(targetsOf([publisher]), consumer.url, { deadlineMs: 3_600_000 })
  const [kept] = await run(({ waiting }) => {
    if (waiting !== undefined) state.refusing = false
  })
  expect(kept).toMatchObject({ outcome: 'ok', applied: { adopted: [], removed: 0 } })
  expect(kept?.applied?.created).toHaveLength(7)
})

test('one that fails does not keep the others from being subscribed to, and is named with why', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  await publishers[1]?.faults({ refuse: true })
  const results = await runOver(targetsOf(publishers), consumer.url)()
  expect(results.map(({ outcome }) => outcome)).toEqual(['ok', 'failed', 'ok', 'ok', 'ok'])
  expect(results[1]).toMatchObject({
    node: 'worker-1.site-a.example.com',
    problems: [expect.stringContaining('ECONNREFUSED')],
  })
})

test('dead publishers are tried again only after all others were tried', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  const dead = { node: 'dead', url: 'http://127.0.0.1:1', dialect: 'red-hat-v2' } as const
  const order: string[] = []
  const controller = new AbortController()
  const run = runOver([dead, ...targetsOf(publishers)], consumer.url, {
    concurrency: 1,
    deadlineMs: 3_600_000,
    signal: controller.signal,
  })
  const results = await run(({ settled, waiting = [] }) => {
    if (settled !== undefined) order.push(settled.node)
    order.push(...waiting.map(({ node }) => `waiting for ${node}`))
    if (waiting.length > 0) controller.abort(new Error('enough'))
  })
  expect(order).toEqual([...publishers.map(({ node }) => node), 'waiting for dead', 'dead'])
  expect(results[0]).toMatchObject({ node: 'dead', outcome: 'failed' })
})

test('no more publishers are worked on at once than the concurrency', async () => {
  let now = 0
  let most = 0
  const urls = await Promise.all(
    Array.from({ length: 6 }, () =>
      listen(
        createServer((_, response) => {
          now += 1
          most = Math.max(most, now)
          setImmediate(() => {
            now -= 1
            response.writeHead(500).end()
          })
        }),
      ),
    ),
  )
  const targets = urls.map((url, i) => ({ node: `n${i}`, url, dialect: 'red-hat-v2' }) as const)
  const results = await runOver(targets, 'http://ingest', { concurrency: 2 })()
  expect(results.every(({ outcome }) => outcome === 'failed')).toBe(true)
  expect(most).toBeLessThanOrEqual(2)
})

test('a node whose document cannot be written fails by itself', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  const targets = targetsOf(publishers)
  const { reconciler, store } = createWorld({ targets, callbackUrl: consumer.url })
  await store.close()
  const prove = async () => ({ outcome: 'proven' }) as const
  const deps = {
    reconciler,
    find: foundAs(targets),
    named,
    prove,
    pollConcurrency: 4,
    subscribeDeadlineMs: 0,
    clock: systemClock,
    random: () => 0,
  }
  const { results } = await subscribeAll(deps, {})
  expect(results.map(({ outcome, problems }) => [outcome, problems.length])).toEqual(
    Array.from(targets, () => ['failed', 1]),
  )
})

test('on a terminal the progress is one line that is rewritten, elsewhere a line each', async () => {
  const one: Reconciled = {
    node: 'n1',
    dialect: 'red-hat-v2',
    outcome: 'failed',
    problems: ['away'],
    url: 'http://n1',
    resources: [],
    plan: [],
    applied: undefined,
    reachable: true,
    lacking: [],
    notes: [],
    foreign: 0,
    retryable: true,
  }
  const show = (interactive: boolean) => {
    let shown = ''
    const terminal = {
      out() {},
      err: (more: string) => {
        shown += more
      },
      interactive,
      colour: false,
      columns: 100,
    }
    const progress = createProgress(terminal, {})
    progress({ waiting: [one], done: 0, total: 2 })
    progress({ waiting: [one], done: 0, total: 2 })
    progress({ settled: one, done: 1, total: 2 })
    return shown
  }
  expect(show(true).split('\r\u001b[2K').slice(1)).toEqual([
    'subscribing 0/2, waiting for 2',
    'subscribing 0/2, waiting for 2',
    'subscribing 1/2, 1 failed, waiting for 1',
  ])
  expect(show(false)).toBe('waiting for n1: away\n1/2 n1 (red-hat-v2): failed\n')
})

const request = (method: string, path: string): HttpRequest => ({
  method,
  path,
  query: '',
  headers: {},
  body: new Uint8Array(),
  signal: new AbortController().signal,
})

test('served, POST / runs and answers 202 without a body, or 500 with what failed', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  const run = runOver(targetsOf(publishers), consumer.url)
  const handle = createSubscribeHandler(() => run())
  expect(await handle(request('POST', '/'))).toEqual({ status: 202 })
  expect(held(publishers)).toEqual([7, 5, 5, 5, 7])
  await publishers[4]?.faults({ refuse: true })
  const failed = Promise.resolve(handle(request('POST', '/')))
  expect(await failed.catch((error: unknown) => replyOf(error, silentLog))).toMatchObject({
    status: 500,
    body: expect.stringContaining('controller-0'),
  })
  expect(await handle(request('GET', '/'))).toMatchObject({ status: 405, headers: { allow: 'POST' } })
  expect(await handle(request('POST', '/other'))).toMatchObject({ status: 404 })
})

test('served, a request during a run shares it', async () => {
  let runs = 0
  const handle = createSubscribeHandler(async () => {
    runs += 1
    return []
  })
  await Promise.all([handle(request('POST', '/')), handle(request('POST', '/'))])
  await handle(request('POST', '/'))
  expect(runs).toBe(2)
})

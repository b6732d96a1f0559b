import { expect, onTestFinished, test } from 'vitest'
import { poll } from '#functions/poll/index.ts'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { readConfig } from '#shared/config/index.ts'
import { silentLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import { startApi } from '../../kubernetes/api.ts'
import { startConsumer, using } from '../../publishers/support/consumer.ts'
import { range } from './samples.ts'

/** Requests to the API server per node and minute while nothing happens but a poll a minute (docs/configmap.md). */
async function quiet(nodes: number, minutes: number, staleAfterSeconds: number) {
  const api = await startApi({ tls: false })
  const consumer = await startConsumer()
  const publishers = range(1, nodes).map((number) =>
    using(createRedHatV2({ node: `node${number}.example.com`, release: '4.18', warmUpMs: 0 })),
  )
  await Promise.all(publishers.map((publisher) => publisher.listen()))
  const config = await readConfig({
    STATE_URL: 'configmap://ptp-watch',
    KUBECONFIG: api.kubeconfig,
    CALLBACK_URL: consumer.url,
    STALE_AFTER_SECONDS: String(staleAfterSeconds),
    PUBLISHERS: JSON.stringify(publishers.map(({ node, url }) => ({ node, url }))),
  })
  let now = Date.now()
  const opened = await poll.open(config, {
    clock: { now: () => now },
    log: silentLog,
    metrics: createMetrics(),
    random: Math.random,
    newId: () => 'incarnation',
  })
  onTestFinished(() => opened.close())
  const terminal = { out: () => {}, err: () => {}, interactive: false, colour: false, columns: 80 }
  const run = async () => {
    now += 60_000
    expect(await opened.run?.({}, { signal: new AbortController().signal, terminal })).toBe(0)
  }
  // The first polls make the subscriptions and date what the pulls show.
  for (let polls = 0; polls < 3; polls += 1) await run()
  api.requests.length = 0
  for (let polls = 0; polls < minutes; polls += 1) await run()
  const writes = api.requests.filter(({ verb }) => verb !== 'get' && verb !== 'list')
  expect(new Set(writes.map(({ status }) => status))).toEqual(new Set([200]))
  const reads = api.requests.length - writes.length
  return { writes: writes.length / nodes / minutes, reads: reads / nodes / minutes }
}

test.each([
  { staleAfter: 180, writes: 1 },
  { staleAfter: 540, writes: 1 / 3 },
])('with STALE_AFTER_SECONDS=$staleAfter a quiet node is written $writes times a minute', async (row) => {
  const { writes, reads } = await quiet(4, 6, row.staleAfter)
  expect(writes).toBeCloseTo(row.writes, 5)
  expect(reads).toBeLessThan(3)
})

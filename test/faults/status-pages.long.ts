import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { clockAt, lockedNode, openStore, put } from '../functions/fleet.ts'
import { start, MAIN } from '../runtime/processes.ts'
import { startRedis } from '../support/redis.ts'

const NODES = 5_000
/** What a pod of 256Mi has. */
const MOST_RESIDENT_KIB = 256 * 1024
const KINDS = [
  'lock-state',
  'os-clock-sync-state',
  'clock-class',
  'gnss-sync-status',
  'sync-state',
  'synce-lock-state',
  'synce-clock-quality',
]
const SUBSCRIPTIONS = KINDS.map((kind) => ({
  kind,
  address: `/cluster/node/worker-0.site-a.example.com/sync/ptp-status/${kind}`,
  id: '8a3f2c1e-0000-4000-8000-000000000000',
  endpoint: 'http://ptp-watch-ingest.example.com/event/worker-0.site-a.example.com',
  confirmedAt: '2026-11-23T12:00:00.000Z',
}))

/** status as its image starts it, with the heap of a small pod, over a Redis that holds a large fleet. */
async function startStatus() {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const stateUrl = `redis://127.0.0.1:${redis.port}`
  const store = await openStore(stateUrl)
  const now = Date.now()
  const clocks = KINDS.map((kind) => clockAt(now, kind, 'ens5fx/master', {}))
  for (let first = 0; first < NODES; first += 100) {
    const names = Array.from({ length: 100 }, (_, i) => `node-${first + i}.example.com`)
    await Promise.all(
      names.map((node) => put(store, lockedNode(node, now, { clocks, subscriptions: SUBSCRIPTIONS }))),
    )
  }
  await store.close()
  const status = start(['--max-semi-space-size=4', '--max-old-space-size=128', MAIN, 'status', '--serve'], {
    STATE_URL: stateUrl,
    HOST: '127.0.0.1',
    PORT: '0',
  })
  onTestFinished(async () => {
    status.kill('SIGKILL')
    await status.exit
  })
  const [, url = ''] = /"url":"([^"]+)"/.exec(await status.until(/"message":"listening"/)) ?? []
  return { url, pid: status.pid }
}

/** The most memory that a process has had, in KiB. */
async function peakOf(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}

test('a hundred large pages at once, and readers that stall, cost no more than a small pod has', async () => {
  const status = await startStatus()
  const { port } = new URL(status.url)
  // They ask, and never read.
  for (let i = 0; i < 100; i++) {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.pause()
      socket.write('GET /api/nodes?limit=500 HTTP/1.1\r\nHost: x\r\n\r\n')
    })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
  }
  const pages = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const { statusCode, body } = await request(`${status.url}/api/nodes?limit=500`, {
        headersTimeout: 120_000,
      })
      const { nodes, continue: next } = (await body.json()) as { nodes: unknown[]; continue: unknown }
      return { statusCode, nodes: nodes.length, more: typeof next }
    }),
  )
  expect(new Set(pages.map((page) => JSON.stringify(page)))).toEqual(
    new Set([JSON.stringify({ statusCode: 200, nodes: 500, more: 'string' })]),
  )
  expect((await request(`${status.url}/health/liveness`)).statusCode).toBe(200)
  expect(await peakOf(status.pid)).toBeLessThan(MOST_RESIDENT_KIB)
})

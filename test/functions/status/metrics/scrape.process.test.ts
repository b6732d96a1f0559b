import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { isoTime } from '#shared/time.ts'
import { onFramework, onServe, MAIN } from '../../../runtime/processes.ts'
import { checkMetrics } from '../../../support/promtool.ts'
import { startRedis } from '../../../support/redis.ts'
import { clockAt, lockedNode, openStore, put, temporaryFolder } from '../../fleet.ts'

const HOSTILE = [
  'quote"} 1\nptp_watch_store_up 7\n#',
  'back\\slash\\',
  'line\nbreak\r\n',
  'nul\0and\u0007bell',
  'ünï/ćødé-😀',
  '{__name__="x"}',
]

/** A Redis with nodes in it, and `status` as a process over it. */
async function served(nodes: readonly string[], env = {}, on = onServe) {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const url = `redis://127.0.0.1:${redis.port}`
  const store = await openStore(url)
  onTestFinished(() => store.close())
  const now = Date.now()
  for (const [i, node] of nodes.entries()) {
    const { clocks } = lockedNode(node, now)
    await put(
      store,
      lockedNode(node, now, {
        labels: { site: node, region: `region of ${node}` },
        publisher: { url: 'http://p', dialect: 'red-hat-v2', reachable: true, checkedAt: isoTime(now) },
        clocks: [
          ...clocks,
          clockAt(now, 'lock-state', node, { state: i % 2 === 0 ? 'FREERUN' : 'HOLDOVER' }),
          clockAt(now, 'gnss-sync-status', node, { state: node }),
          clockAt(now, 'clock-class', node, { state: null, metrics: { clockClass: '248' } }),
        ],
      }),
    )
  }
  const entry = on === onServe ? MAIN : 'functions/framework.ts'
  const status = await on(entry, 'status', { STATE_URL: url, STALE_AFTER_SECONDS: '86400', ...env })
  onTestFinished(() => status.stop())
  const scrape = async (headers: Record<string, string> = {}) => {
    const { statusCode, body } = await request(`${status.url}/metrics`, { headers })
    return { statusCode, text: await body.text() }
  }
  return { redis, store, status, scrape }
}

/** The values of a label, unescaped as Prometheus does, of one metric. */
function valuesOf(text: string, metric: string, label: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith(`${metric}{`))
  return lines.flatMap((line) => {
    const [, value] = new RegExp(`[{,]${label}="((?:[^"\\\\]|\\\\.)*)"`).exec(line) ?? []
    return value === undefined ? [] : [value.replace(/\\(.)/g, (_, one) => (one === 'n' ? '\n' : one))]
  })
}

test.each([
  ['our own server', onServe],
  ['the Functions Framework', onFramework],
] as const)('promtool has nothing to say of what %s serves, whatever nodes are called', async (_, on) => {
  const { scrape } = await served(['plain', ...HOSTILE], {}, on)
  const { statusCode, text } = await scrape()
  expect(statusCode).toBe(200)
  expect(await checkMetrics(text)).toBe('')
  expect(text).toContain('process_resident_memory_bytes ')
  const known = ['plain', ...HOSTILE].sort()
  for (const label of ['node', 'site', 'clock']) {
    expect(valuesOf(text, 'ptp_watch_clock_class', label).sort()).toEqual(known)
  }
  expect(text.match(/^ptp_watch_store_up .*$/gm)).toEqual(['ptp_watch_store_up 1'])
})

test('with STATUS_TOKEN_FILE a scrape needs the token, probes do not', async () => {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const file = join(folder.path, 'token')
  writeFileSync(file, 'open-sesame')
  const { status, scrape } = await served(['a'], { STATUS_TOKEN_FILE: file })
  const refused = await scrape()
  expect(refused.statusCode).toBe(401)
  expect(refused.text).not.toContain('ptp_watch')
  expect(await scrape({ authorization: 'Bearer open-sesame' })).toMatchObject({
    statusCode: 200,
    text: expect.stringContaining('node="a"'),
  })
  const { statusCode, body } = await request(`${status.url}/health/readiness`)
  await body.dump()
  expect(statusCode).toBe(200)
})

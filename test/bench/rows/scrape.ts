import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { request } from 'undici'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'

const NODES = 5_000
/** Longer than a look at the store is good for, so that each scrape causes one, as it does under Prometheus. */
const BETWEEN_LOOKS_MS = 2_100

async function scrape(url: string): Promise<string> {
  const { statusCode, body } = await request(`${url}/metrics`)
  const text = await body.text()
  if (statusCode !== 200) throw new Error(`The scrape was answered ${statusCode}`)
  return text
}

async function timed(url: string): Promise<number> {
  await pause(BETWEEN_LOOKS_MS)
  const begunAt = performance.now()
  await scrape(url)
  return performance.now() - begunAt
}

/** `/metrics` of `status` with 5,000 nodes of 7 clocks, beside a bare server that sends the same text. */
const row: Row = {
  name: 'scrape',
  unit: 'ms',
  bar: { most: 3 },
  async measure(world) {
    const { url: STATE_URL } = await world.redis()
    const env = { STATE_URL, LOG_LEVEL: 'warn' }
    const PUBLISHERS = await world.publishersOf(NODES)
    const ingest = await world.server([...world.bundles.main, 'ingest'], { ...env, PUBLISHERS })
    await world.load(ingest.url, { nodes: NODES, count: NODES * 7, what: 'each-kind' })
    await ingest.stop()
    const status = await world.server([...world.bundles.main, 'status', '--serve'], env)
    const text = await scrape(status.url)
    const nodes = new Set(text.match(/^ptp_watch_node_stale\{node="[^"]*"/gm)).size
    if (nodes !== NODES) throw new Error(`The scrape had ${nodes} nodes`)
    const TEXT_FILE = join(await world.folder(), 'metrics.txt')
    await writeFile(TEXT_FILE, text)
    const bare = await world.server([world.bundles.bareText], { TEXT_FILE })
    return alternate(world.rounds * 2, { ours: () => timed(status.url), yardstick: () => timed(bare.url) })
  },
}

export const scrapeRows: readonly Row[] = [row]

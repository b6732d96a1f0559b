import { request } from 'undici'
import * as z from 'zod/mini'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import { NODES } from './ingest.ts'

const page = z.object({ nodes: z.array(z.unknown()), continue: z.nullable(z.string()) })

/** Pages of the size that is given without being asked for. */
async function readAllPages(url: string): Promise<number> {
  const texts: string[] = []
  const begunAt = performance.now()
  let next: string | null = ''
  while (next !== null) {
    const query: string = next === '' ? '' : `?continue=${encodeURIComponent(next)}`
    const answer = await request(`${url}/api/nodes${query}`)
    const text = await answer.body.text()
    texts.push(text)
    next = /"continue":"([^"]+)"\}\n?$/.exec(text)?.[1] ?? null
  }
  const took = performance.now() - begunAt
  const nodes = texts.reduce((sum, text) => sum + page.parse(JSON.parse(text)).nodes.length, 0)
  if (nodes !== NODES) throw new Error(`The pages held ${nodes} nodes`)
  return took
}

async function readRaw(url: string): Promise<number> {
  const begunAt = performance.now()
  const answer = await request(url)
  await answer.body.text()
  return performance.now() - begunAt
}

const status: Row = {
  name: 'status',
  unit: 'ms',
  bar: { most: 2 },
  async measure(world) {
    const { url: STATE_URL } = await world.redis()
    const env = { STATE_URL, LOG_LEVEL: 'warn' }
    const PUBLISHERS = await world.publishersOf(NODES)
    const ingest = await world.server([...world.bundles.main, 'ingest'], { ...env, PUBLISHERS })
    await world.load(ingest.url, { nodes: NODES, count: NODES * 8, what: 'each-kind' })
    await ingest.stop()
    const ours = await world.server([...world.bundles.main, 'status', '--serve'], env)
    const raw = await world.server([world.bundles.rawStatus], env)
    for (let turn = 0; turn < 5; turn += 1) {
      await readAllPages(ours.url)
      await readRaw(raw.url)
    }
    return alternate(world.rounds * 4, {
      ours: () => readAllPages(ours.url),
      yardstick: () => readRaw(raw.url),
    })
  },
}

export const statusRows: readonly Row[] = [status]

import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import * as z from 'zod/mini'
import { runToEnd } from '../processes.ts'
import { alternate, type Sides } from '../rounds.ts'
import type { Row } from '../row.ts'
import type { World } from '../world.ts'

const PUBLISHERS = 500
/** The default of POLL_CONCURRENCY. */
const CONCURRENCY = 16
const RESOURCES = 'lock-state,os-clock-sync-state,clock-class,gnss-sync-status,sync-state'

const fleet = z.object({ publishers: z.array(z.object({ node: z.string(), url: z.string() })) })
const asked = z.object({ seconds: z.number() })

/** A fleet in a process of its own, a callback that takes all notifications, and the environment for ours. */
async function openFleet(world: World) {
  const worker = await world.worker('fleet.ts')
  const callback = await world.server([world.bundles.bare])
  const { publishers } = await worker.ask(fleet, { do: 'start', count: PUBLISHERS })
  const file = `${await world.folder()}/publishers.json`
  await writeFile(file, JSON.stringify(publishers.map((each) => ({ ...each, dialect: 'red-hat-v2' }))))
  const redis = await world.redis()
  const env = {
    PUBLISHERS: file,
    CALLBACK_URL: callback.url,
    RESOURCES,
    STATE_URL: redis.url,
    LOG_LEVEL: 'error',
    POLL_CONCURRENCY: String(CONCURRENCY),
  }
  const job = { publishers, concurrency: CONCURRENCY, callback: callback.url }
  const forget = async () => {
    await worker.ask(fleet, { do: 'forget' })
    await redis.empty()
  }
  return { env, job, forget }
}

async function tick(url: string): Promise<void> {
  const answer = await request(`${url}/tick`, { method: 'POST', headersTimeout: 120_000 })
  await answer.body.dump()
  if (answer.statusCode !== 202) throw new Error(`A tick was answered ${answer.statusCode}`)
}

async function measurePoll(world: World, what: 'cpu' | 'wall'): Promise<Sides> {
  const { env, job } = await openFleet(world)
  const ours = await world.server([...world.bundles.main, 'poll', '--serve'], env)
  const asker = await world.worker('asker.ts')
  // The first makes the subscriptions, the second finds nothing changed; so do all that are measured.
  await tick(ours.url)
  await tick(ours.url)
  const measured = (side: { cpuSeconds: () => number }, run: () => Promise<unknown>) => async () => {
    const before = side.cpuSeconds()
    const begunAt = performance.now()
    await run()
    return what === 'cpu' ? side.cpuSeconds() - before : (performance.now() - begunAt) / 1000
  }
  return alternate(world.rounds, {
    ours: measured(ours, () => tick(ours.url)),
    yardstick: measured(asker, () => asker.ask(asked, { do: 'poll', ...job })),
  })
}

async function measureSubscribe(world: World): Promise<Sides> {
  const { env, job, forget } = await openFleet(world)
  const file = fileURLToPath(new URL('../children/asker.ts', import.meta.url))
  const fromNothing = (run: () => Promise<void>) => async () => {
    await forget()
    const begunAt = performance.now()
    await run()
    return (performance.now() - begunAt) / 1000
  }
  return alternate(world.rounds, {
    ours: fromNothing(() => runToEnd([...world.bundles.main, 'subscribe'], env)),
    yardstick: fromNothing(() => runToEnd([file, JSON.stringify({ do: 'subscribe', ...job })], {})),
  })
}

export const publisherRows: readonly Row[] = [
  { name: 'poll', unit: 'CPU s', bar: { most: 1.6 }, measure: (world) => measurePoll(world, 'cpu') },
  { name: 'poll-wall', unit: 's', bar: { most: 1.3 }, measure: (world) => measurePoll(world, 'wall') },
  { name: 'subscribe', unit: 's', bar: { most: 1.4 }, measure: measureSubscribe },
]

import { writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
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

const figure = (text: string, series: string) =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1],
  )

/** Light rounds come by themselves, a second apart; those are taken in which no publisher was polled as a whole. */
async function measureLight(world: World): Promise<Sides> {
  const { env, job } = await openFleet(world)
  const ours = await world.server([...world.bundles.main, 'poll', '--serve', '--every', '1'], env)
  const asker = await world.worker('asker.ts')
  const look = async () => {
    const text = await (await request(`${ours.url}/metrics`)).body.text()
    return {
      cpu: ours.cpuSeconds(),
      rounds: figure(text, 'ptp_watch_poll_rounds_total{outcome="ok"}'),
      whole: figure(text, 'ptp_watch_polls_total{outcome="ok"}'),
      light: figure(text, 'ptp_watch_light_polls_total{outcome="ok"}'),
    }
  }
  const until = async (isReached: (now: Awaited<ReturnType<typeof look>>) => boolean) => {
    for (;;) {
      const now = await look()
      if (isReached(now)) return now
      await pause(200)
    }
  }
  await until(({ light }) => light >= PUBLISHERS)
  const round = async (): Promise<number> => {
    const before = await look()
    const after = await until(({ rounds }) => rounds >= before.rounds + 3)
    if (after.whole !== before.whole) return round()
    return ((after.cpu - before.cpu) * PUBLISHERS) / (after.light - before.light)
  }
  const bare = async () => {
    const before = asker.cpuSeconds()
    for (let times = 0; times < 3; times += 1) await asker.ask(asked, { do: 'light', ...job })
    return (asker.cpuSeconds() - before) / 3
  }
  return alternate(world.rounds, { ours: round, yardstick: bare })
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
  { name: 'poll-light', unit: 'CPU s', bar: { most: 1.6 }, measure: measureLight },
  { name: 'subscribe', unit: 's', bar: { most: 1.4 }, measure: measureSubscribe },
]

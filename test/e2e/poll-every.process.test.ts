import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createRedHatV2, type Publisher } from '#local/publishers/index.ts'
import { startRedis } from '../support/redis.ts'
import { clocksIn, redHatV2 } from './support/publishers.ts'
import { eventually, listening, serve, startSystem, type System, tick } from './support/system.ts'
import { clockOf } from './support/view.ts'
import { type Watched, watched } from './support/watched.ts'

const IN_SECONDS = { STALE_AFTER_SECONDS: '30', LOG_LEVEL: 'info' }

/** The functions, and a poll of these publishers by its own timer. */
async function everySecond(publishers: readonly Publisher[], env: Record<string, string> = {}) {
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const ways = await Promise.all(publishers.map(watched))
  const settings = {
    ...IN_SECONDS,
    ...env,
    PUBLISHERS: JSON.stringify(ways.map(({ node, url }) => ({ node, url }))),
  }
  const system = await startSystem(publishers, settings)
  const poll = await serve(['poll', '--serve', '--every', '1'], { ...system.env, ...settings })
  return { system, ways, poll, lines: () => linesOf(poll.running.err()) }
}

type Line = { readonly level: string; readonly message: string }

function linesOf(text: string): Line[] {
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
}

const pulls = ({ asked }: Watched, kind: string) =>
  asked.filter((what) => what === `GET ${kind}/CurrentState`).length
const roundsOf = async (url: string) => {
  const text = await (await request(`${url}/metrics`)).body.text()
  return (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

async function overall(system: System, publisher: Publisher): Promise<string> {
  return (await system.node(publisher)).overall
}

test('after a first poll as a whole, rounds ask only for the kinds that decide, and show what changes', async () => {
  const [publisher] = await listening(redHatV2())
  const { system, ways } = await everySecond([publisher])
  const [way] = ways
  if (way === undefined) throw new Error('There is no way')
  await eventually(async () => expect(await overall(system, publisher)).toBe('LOCKED'))
  await eventually(() => expect(pulls(way, 'os-clock-sync-state')).toBeGreaterThan(1))
  const before = way.asked.length
  await eventually(() => expect(pulls(way, 'os-clock-sync-state')).toBeGreaterThan(4))
  const light = new Set(way.asked.slice(before))
  expect([...light].sort()).toEqual(['GET lock-state/CurrentState', 'GET os-clock-sync-state/CurrentState'])

  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000, announce: 'never' })
  await eventually(async () => expect(await overall(system, publisher)).toBe('FREERUN'))
})

test('what only a poll as a whole showed is asked for in each round until it is settled', async () => {
  const [publisher] = await listening(redHatV2())
  const { system, ways, poll } = await everySecond([publisher], { SETTLE_SECONDS: '2' })
  const [way] = ways
  if (way === undefined) throw new Error('There is no way')
  await eventually(() => expect(pulls(way, 'lock-state')).toBeGreaterThan(2))
  publisher.setClock({ kind: 'clock-class', clockClass: 135, announce: 'never' })
  await eventually(async () => {
    await tick(poll)
    expect(clockOf(await system.node(publisher), 'clock-class').metrics).toMatchObject({ clockClass: '135' })
  })
  const whole = pulls(way, 'gnss-sync-status')
  const before = pulls(way, 'clock-class')
  await eventually(async () => {
    expect((await system.node(publisher)).log).toContainEqual(
      expect.objectContaining({ type: 'missed', kind: 'clock-class' }),
    )
  })
  expect(pulls(way, 'clock-class')).toBeGreaterThan(before)
  expect(pulls(way, 'gnss-sync-status')).toBe(whole)
})

test('a publisher that is silent holds up no round of the others, and late rounds are told once', async () => {
  const names = ['a', 'b', 'c'].map((name) => `worker-${name}.example.com`)
  const publishers = await listening(...names.map((name) => redHatV2(name)))
  const { system, ways, poll, lines } = await everySecond(publishers, { POLL_CONCURRENCY: '1' })
  for (const publisher of publishers) {
    await eventually(async () => expect(await overall(system, publisher)).toBe('LOCKED'))
  }
  const [silent, ...others] = ways
  silent?.hold()
  await eventually(async () => {
    expect((await roundsOf(poll.url))('ptp_watch_poll_late_rounds_total')).toBeGreaterThan(1)
  })
  const before = others.map((way) => pulls(way, 'lock-state'))
  await eventually(() => {
    for (const [i, way] of others.entries()) {
      expect(pulls(way, 'lock-state')).toBeGreaterThan((before[i] ?? 0) + 1)
    }
  })
  const told = lines().filter(({ message }) => message.includes('longer than the interval'))
  const again = lines().filter(({ message }) => message.includes('within the interval again'))
  expect(told.length - again.length).toBeLessThanOrEqual(1)
  expect(told[0]).toMatchObject({ level: 'warn' })
  for (const publisher of publishers.slice(1)) expect(await overall(system, publisher)).toBe('LOCKED')
})

test('while a round is under way a tick is answered at once and starts no run of its own; SIGTERM ends both', async () => {
  const [publisher] = await listening(redHatV2())
  const { poll, ways, lines } = await everySecond([publisher])
  const [way] = ways
  if (way === undefined) throw new Error('There is no way')
  await eventually(() => expect(pulls(way, 'lock-state')).toBeGreaterThan(1))
  way.hold()
  const before = way.asked.length
  await eventually(() => expect(way.asked.length).toBeGreaterThan(before))
  const asked = way.asked.length
  await tick(poll)
  expect(way.asked.slice(asked).filter((what) => !what.endsWith('CurrentState'))).toEqual([])
  expect(await poll.stop()).toBe(0)
  way.release()
  expect(lines().filter(({ level }) => level === 'error')).toEqual([])
})

test('a store that is away is one line for all publishers and rounds, and is written again when it is back', async () => {
  const names = ['a', 'b', 'c'].map((name) => `worker-${name}.example.com`)
  const publishers = await listening(
    ...names.map((node) => createRedHatV2({ node, release: 'main', warmUpMs: 0 })),
  )
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const { system, poll, lines } = await everySecond(publishers, {
    STATE_URL: `redis://127.0.0.1:${redis.port}`,
  })
  for (const publisher of publishers) {
    await eventually(async () => expect(await overall(system, publisher)).toBe('LOCKED'))
  }
  await redis.stop()
  const failed = async () =>
    Number(
      /poll_rounds_total\{outcome="failed"\} (\d+)/.exec(
        await (await request(`${poll.url}/metrics`)).body.text(),
      )?.[1],
    )
  await eventually(async () => expect(await failed()).toBeGreaterThan(1))
  const readiness = await request(`${poll.url}/health/readiness`)
  expect(await readiness.body.json()).toMatchObject({ store: 'down' })
  expect(lines().filter(({ message }) => message.includes('cannot write to the store'))).toHaveLength(1)
  await redis.start()
  await eventually(() =>
    expect(lines().filter(({ message }) => message.includes('store accepts poll results'))).toHaveLength(1),
  )
})

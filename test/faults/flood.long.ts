import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Agent, request } from 'undici'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { momentAfter, notification, text } from '../functions/ingest/notifications.ts'
import { openStore } from '../functions/fleet.ts'
import { type Env, start, MAIN } from '../runtime/processes.ts'
import { MEMORY, memoryLimit } from './support/cgroup.ts'
import { MOST_LATE } from './support/load.ts'
import { redisStore, sqliteStore } from './support/world.ts'

const ATTACKER = fileURLToPath(new URL('support/attacker.ts', import.meta.url))
const NODE = 'good.example.com'
/** One that an attacker knows of. */
const OTHER = 'other.example.com'
const SECRET = 'a secret of the flood tests'
/** Publishers wait no longer for an answer (protocol.md §4.2). Milliseconds. */
const PATIENCE = 2_000
type Answer = { readonly status: number | string; readonly ms: number }

/** An ingest in 256 MiB, with an honest publisher of {@link NODE}. */
async function besieged({ env, secured = false }: { env: Env; secured?: boolean }) {
  const limit = memoryLimit('flood')
  const server = start([...limit.options, MAIN, 'ingest'], {
    HOST: '127.0.0.1',
    PORT: '0',
    PUBLISHERS: text([NODE, OTHER].map((node) => ({ node, url: 'http://127.0.0.1:9' }))),
    ...(secured ? { CALLBACK_SECRET: SECRET } : {}),
    ...env,
  })
  if (server.pid !== undefined) limit.add(server.pid)
  const [, url = ''] = /"url":"([^"]+)"/.exec(await server.until(/"message":"listening"/)) ?? []
  let ended = false
  void server.exit.then(() => {
    ended = true
  })
  onTestFinished(async () => {
    server.kill('SIGKILL')
    await server.exit
    // The kernel may hold on to it for a moment.
    await vi.waitFor(() => limit.remove(), { timeout: 10_000 })
  })

  const path = createCallback({ url: '', secrets: secured ? [SECRET] : [] }).endpointFor(NODE)
  const kept = new Agent({ connections: 1, keepAliveTimeout: 90_000 })
  onTestFinished(() => kept.destroy())
  let number = 0
  const say = async (dispatcher: Agent): Promise<Answer> => {
    number += 1
    const word = number % 2 === 0 ? 'LOCKED' : 'FREERUN'
    const body = text(notification({ node: NODE, word, at: momentAfter(number) }))
    const from = performance.now()
    const status = await request(url + path, {
      method: 'POST',
      body,
      dispatcher,
      headersTimeout: 30_000,
    }).then(
      async (reply) => {
        await reply.body.dump()
        return reply.statusCode
      },
      (error: unknown) => String(error),
    )
    return { status, ms: performance.now() - from }
  }
  const sayAfresh = async () => {
    const fresh = new Agent({ connections: 1 })
    try {
      return await say(fresh)
    } finally {
      await fresh.destroy()
    }
  }
  const live = async (): Promise<Answer> => {
    const from = performance.now()
    const { statusCode, body } = await request(`${url}/health/liveness`, { headersTimeout: 30_000 })
    await body.dump()
    return { status: statusCode, ms: performance.now() - from }
  }

  return {
    url,
    server,
    say: () => say(kept),
    /** Begins an attack of so many connections on a path, until the test ends. */
    async attack(name: string, connections: number, onPath: string) {
      const attacker = start([ATTACKER, new URL(url).port, name, String(connections), onPath])
      onTestFinished(async () => {
        attacker.kill('SIGKILL')
        await attacker.exit
      })
      await attacker.until(/attacking/)
    },
    /** The honest publisher speaks so often, in turn over its connection and a new one; and liveness is asked. */
    async withstand(rounds: number) {
      const answers: Answer[] = []
      for (let round = 0; round < rounds; round++) {
        answers.push(await say(kept), await sayAfresh(), await live())
        await pause(50)
      }
      expect(ended, server.err().slice(-2_000)).toBe(false)
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 200]))
      const late = answers.filter(({ ms }) => ms > PATIENCE)
      expect(late.length, text(late)).toBeLessThanOrEqual(answers.length * MOST_LATE)
      this.proveAlive()
    },
    proveAlive() {
      expect(limit.kills() ?? 0).toBe(0)
      const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]
      expect(Number(peak) * 1024).toBeLessThan(MEMORY)
    },
  }
}

const wrong = `/event/${OTHER}/${'A'.repeat(32)}`
test.each([
  ['large bodies with a wrong token, but for the last byte', 'large', 1_000, wrong, 25],
  ['the largest bodies that are allowed, but for the last byte', 'allowed', 1_000, `/event/${OTHER}`, 25],
  ['small bodies, but for the last byte', 'small', 2_000, `/event/${OTHER}`, 25],
  ['bodies in chunks of a byte', 'chunks', 40, `/event/${OTHER}`, 25],
  ['bodies in chunks of 66 bytes', 'crumbs', 500, `/event/${OTHER}`, 25],
  ['a thousand POSTs at once whose replies are never read', 'posts', 200, `/event/${OTHER}`, 25],
  ['thousands of GETs at once whose replies are never read', 'gets', 200, '/metrics', 25],
  ['connections that say nothing, until long after they expire', 'idle', 6_000, '/', 150],
  ['half a head', 'head', 2_000, `/event/${OTHER}`, 25],
  ['bodies that are hard to digest', 'heavy', 200, `/event/${OTHER}`, 25],
  ['bodies that nest', 'rubbish', 50, `/event/${OTHER}`, 25],
  ['JSON that is no event', 'json', 100, `/event/${OTHER}`, 25],
  ['events of nodes that do not exist', 'unknown', 20, '/event', 25],
])('an honest publisher is answered through a flood of %s', async (_, name, connections, path, rounds) => {
  const world = await besieged({ ...sqliteStore(), secured: path === wrong })
  await world.withstand(1)
  await world.attack(name, connections, path)
  await world.withstand(rounds)
  // What is no event is logged when it is new, and counted after.
  expect(world.server.err().split('"message":"quarantined"').length).toBeLessThan(50)
})

test('while the store is away, a flood of events of nodes that do not exist costs no known node its own', async () => {
  const { env, server: redis } = await redisStore()
  const world = await besieged({ env })
  expect(await world.say()).toMatchObject({ status: 204 })
  await redis.stop('SIGKILL')
  await world.attack('unknown', 50, '/event')
  const said = 50
  for (let n = 0; n < said; n++) expect(await world.say()).toMatchObject({ status: 503 })
  await redis.start()
  const store = await openStore(env.STATE_URL ?? '')
  onTestFinished(() => store.close())
  await expect
    .poll(async () => (await store.read(NODE))?.counters.received, { timeout: 60_000, interval: 250 })
    .toBe(said + 1)
  world.proveAlive()
})

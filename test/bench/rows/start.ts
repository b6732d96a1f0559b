import { request } from 'undici'
import { changingNotifications, nodeName } from '../notifications.ts'
import { freePort } from '../../support/free-port.ts'
import { accepting, type Env, launch, serverOf } from '../processes.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import type { World } from '../world.ts'

/** Start-up is short: a round is the median of nothing, so there are more of them. */
const ROUNDS_EACH = 3

const [template] = changingNotifications()

/** Milliseconds from the spawn of a process to its first 204. */
async function timeToAnswer(args: readonly string[], env: Env): Promise<number> {
  const port = await freePort()
  const body = template?.fill(nodeName(0), new Date().toISOString()) ?? ''
  const begunAt = performance.now()
  const child = launch(args, { ...env, HOST: '127.0.0.1', PORT: String(port) })
  const server = serverOf(child, port)
  try {
    await accepting(port, child)
    const answer = await request(`${server.url}/event/${nodeName(0)}`, { method: 'POST', body })
    const took = performance.now() - begunAt
    if (answer.statusCode !== 204) throw new Error(`The first answer is ${answer.statusCode}`)
    await answer.body.dump()
    return took
  } finally {
    await server.stop()
  }
}

function start(name: string, bar: number, withRedis: boolean): Row {
  return {
    name,
    unit: 'ms',
    bar: { most: bar },
    async measure(world: World) {
      const { bundles, rounds } = world
      const STATE_URL = withRedis ? (await world.redis()).url : 'memory:'
      const PUBLISHERS = await world.publishersOf(1)
      const env = { NODE_COMPILE_CACHE: bundles.compileCache, LOG_LEVEL: 'warn', STATE_URL, PUBLISHERS }
      const yardstick = withRedis ? bundles.bareRedis : bundles.bare
      return alternate(rounds * ROUNDS_EACH, {
        ours: () => timeToAnswer([...bundles.main, 'ingest'], env),
        yardstick: () => timeToAnswer([yardstick], env),
      })
    },
  }
}

export const startRows: readonly Row[] = [start('start', 1.6, false), start('start-redis', 1.4, true)]

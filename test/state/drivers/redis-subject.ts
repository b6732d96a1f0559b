import { silentLog } from '#shared/log.ts'
import { createRedisDriver } from '#shared/state/drivers/redis.ts'
import { PATIENT, type RedisServer, startRedis } from '../../support/redis.ts'
import type { SharedSubject } from './processes.ts'

let server: Promise<RedisServer> | undefined
let databases = 0

/** For `afterAll` of each file that makes such subjects. */
export async function endRedisSubjects(): Promise<void> {
  const ended = server
  server = undefined
  databases = 0
  await (await ended)?.close()
}

/** A database of its own on the redis-server of this test file, and a driver over it for each `open`. */
export async function makeRedisSubject(): Promise<SharedSubject> {
  server ??= startRedis({ config: ['databases 10000'] })
  databases += 1
  const url = `redis://127.0.0.1:${(await server).port}/${databases}`
  return {
    url,
    open: () => createRedisDriver(url, { log: silentLog }, PATIENT),
    cleanUp: async () => {},
  }
}

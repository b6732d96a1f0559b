import { silentLog } from '#shared/log.ts'
import { TIMING, type Timing } from '#shared/redis/connection.ts'
import { createRedisDriver } from '#shared/state/drivers/redis.ts'
import { startRedis } from '../../support/redis.ts'
import type { Subject } from './contract.ts'

/** On a busy machine an answer may take longer than anybody would wait for it in earnest. */
export const PATIENT: Timing = { ...TIMING, connectMs: 20_000, answerMs: 20_000 }

/** A redis-server of its own, and a driver over it for each `open`. */
export async function makeRedisSubject(): Promise<Subject> {
  const server = await startRedis()
  const url = `redis://127.0.0.1:${server.port}`
  return {
    open: () => createRedisDriver(url, { log: silentLog }, PATIENT),
    cleanUp: server.close,
  }
}

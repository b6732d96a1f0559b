import { afterAll, beforeAll } from 'vitest'
import { silentLog } from '#shared/log.ts'
import { createRedisDriver } from '#shared/state/drivers/redis.ts'
import { type RedisServer, startRedis } from '../../support/redis.ts'
import { driverContract } from './contract.ts'
import { processContract } from './processes.ts'
import { PATIENT } from './redis-subject.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server?.close())

const makeSubject = async () => {
  const url = `redis://127.0.0.1:${server.port}`
  return {
    url,
    open: () => createRedisDriver(url, { log: silentLog }, PATIENT),
    cleanUp: async () => void (await server.cli(['FLUSHALL'])),
  }
}

driverContract('redis', makeSubject)
processContract('redis', makeSubject)

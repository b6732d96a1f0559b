import { onTestFinished } from 'vitest'
import type { Credentials } from '#shared/credentials.ts'
import { StoreError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import type { Driver, Version } from '#shared/state/store/driver.ts'
import { createRedisDriver } from '#shared/state/drivers/redis.ts'
import { PATIENT, type RedisOptions, startRedis, until } from '../../support/redis.ts'
import { document, entries, numbers } from './samples.ts'

/** A server that the test has for itself. */
export const start = async (options?: RedisOptions) => {
  const server = await startRedis(options)
  onTestFinished(() => server.close())
  return { ...server, url: `redis://127.0.0.1:${server.port}` }
}
/** What the drivers have logged. */
export const lines: string[] = []
const log = createLog({ level: 'debug', now: () => 0, write: (line) => void lines.push(line) })
export const open = async (url: string, redis: Credentials = {}, waitMs = PATIENT) => {
  const driver = await createRedisDriver(url, { log, redis }, waitMs)
  onTestFinished(() => driver.close())
  return driver
}
/** The StoreError that it came to. */
export const refusal = async (made: Promise<unknown>) => {
  const reason = await made.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(reason instanceof StoreError)) throw new Error('no StoreError', { cause: reason })
  return reason
}
export const create = (driver: Driver, node: string, seq = 2) =>
  driver.write(node, {
    state: document(node, seq),
    entries: entries(1, seq),
    expected: undefined,
    trimThrough: 0,
  })
export const append = (driver: Driver, node: string, seq: number, expected: Version) =>
  driver.write(node, {
    state: document(node, seq),
    entries: entries(seq, seq),
    expected,
    trimThrough: 0,
  })
export const logOf = async (driver: Driver, node: string) =>
  numbers(await driver.log(node, { after: 0, limit: 99 }))
/** Resolves once the driver works again, as it does after a pause between two attempts to connect. */
export const back = (driver: Driver) =>
  until(() =>
    driver.ping().then(
      () => true,
      () => false,
    ),
  )

import { silentLog } from '#shared/log.ts'
import type { Driver } from '#shared/state/store/driver.ts'
import { type DriverOptions, openDriver } from '#shared/state/store/open.ts'

/** A store as a test itself looks into it: with as much patience for Redis as a busy machine needs. */
export async function openPatiently(url: string, options: DriverOptions = {}): Promise<Driver> {
  if (!url.startsWith('redis:')) return openDriver(url, options)
  const { createRedisDriver } = await import('#shared/state/drivers/redis.ts')
  const { PATIENT } = await import('./redis.ts')
  return createRedisDriver(url, { log: silentLog, ...options }, PATIENT)
}

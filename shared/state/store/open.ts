import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { readStateUrl, STATE_URL_FORMS } from '#shared/config/state-url.ts'
import type { Credentials } from '#shared/credentials.ts'
import { ConfigurationError, StoreError } from '#shared/errors.ts'
import type { KubernetesSettings } from '#shared/kubernetes/access.ts'
import type { Access } from '#shared/kubernetes/client.ts'
import { type Log, silentLog } from '#shared/log.ts'
import type { Driver } from './driver.ts'
import { createStore, type Store, type StoreOptions } from './store.ts'

/** What drivers need besides their URL. */
export type DriverOptions = {
  /** For what happens between calls; silent by default. */
  readonly log?: Log
  /** How to reach the API server, for configmap. */
  readonly kubernetes?: KubernetesSettings | Access
  /** Trusted authorities and the password, for Redis. */
  readonly redis?: Credentials
  /** Create a store file that does not exist; true by default. */
  readonly create?: boolean
}

/**
 * Opens the configured store. `create`: see {@link DriverOptions}.
 * @throws as {@link openDriver} does.
 */
export async function openStore(
  { stateUrl, stateOptions, historyPerNode }: StoreConfig,
  { log, random }: Required<Pick<StoreOptions, 'log' | 'random'>>,
  { create = true } = {},
): Promise<Store> {
  const driver = await openDriver(stateUrl, { log, ...stateOptions, create })
  return createStore(driver, { historyPerNode, log, random })
}

type StoreConfig = {
  readonly stateUrl: string
  readonly stateOptions: DriverOptions
  readonly historyPerNode: number
}

/**
 * Opens the driver for a state URL.
 * @throws ConfigurationError if no driver takes the URL; the message only shows its scheme, since the rest may contain
 * a password.
 * @throws StoreError if the store cannot be opened.
 */
export async function openDriver(url: string, options: DriverOptions = {}): Promise<Driver> {
  const { log = silentLog, kubernetes = {}, redis, create = true } = options
  const { scheme, rest = '' } = readStateUrl(url) ?? {}
  // A driver and its dependencies are loaded only when needed.
  switch (scheme) {
    case 'sqlite':
      if (!create && !existsSync(rest)) throw missing(rest)
      return (await import('#shared/state/drivers/sqlite.ts')).createSqliteDriver(rest, { log })
    case 'memory':
      return (await import('#shared/state/drivers/memory.ts')).createMemoryDriver()
    case 'configmap':
      return (await import('#shared/state/drivers/configmap.ts')).createConfigMapDriver(rest, {
        log,
        kubernetes,
      })
    case undefined:
      throw new ConfigurationError([
        `STATE_URL must be one of ${STATE_URL_FORMS.join(', ')}; found one that begins with ${JSON.stringify(url.split(':', 1)[0])}`,
      ])
    default:
      return (await import('#shared/state/drivers/redis.ts')).createRedisDriver(url, { log, redis })
  }
}

function missing(file: string): StoreError {
  return new StoreError(
    `There is no SQLite store ${resolve(file)}: set STATE_URL to the one that ptp-watch ingest writes`,
    { retryable: false },
  )
}

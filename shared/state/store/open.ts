import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigurationError, StoreError } from '#shared/errors.ts'
import type { KubernetesSettings } from '#shared/kubernetes/access.ts'
import { type Log, silentLog } from '#shared/log.ts'
import type { RedisSettings } from '#shared/redis/client.ts'
import type { Driver } from './driver.ts'
import { createStore, type Store, type StoreOptions } from './store.ts'

/** What drivers go by beside their URL. */
export type DriverOptions = {
  /** For what befalls a driver outside of any call; the default says nothing. */
  readonly log?: Log
  /** How the API server of a cluster is reached: for configmap. */
  readonly kubernetes?: KubernetesSettings
  /** Files for the way to Redis: for redis, rediss and with Sentinels. */
  readonly redis?: RedisSettings
  /** Whether a store of one file is made where there is none; true by default. */
  readonly create?: boolean
}

type Scheme = {
  readonly form: string
  /** What may follow the scheme and its colon. */
  readonly rest: RegExp
  /** Loads the driver, and with it what it depends on, only when it is asked for. */
  open(rest: string, options: DriverOptions): Promise<Driver>
}

const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['sqlite', { form: 'sqlite:<file>', rest: /./, open: openSqlite }],
  ['memory', { form: 'memory:', rest: /^$/, open: openMemory }],
  // What follows is a DNS label (RFC 1123), as every namespace is, or nothing.
  [
    'configmap',
    {
      form: 'configmap://<namespace>',
      rest: /^\/\/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/,
      open: openConfigMap,
    },
  ],
  redis('redis', '<host>'),
  redis('rediss', '<host>'),
  redis('redis-sentinel', '<host>/<master>'),
  redis('rediss-sentinel', '<host>/<master>'),
])

/** The forms that a state URL may take, for messages and help. */
export const STATE_URL_FORMS: readonly string[] = [...SCHEMES.values()].map(({ form }) => form)

/** A state URL as people may see it: without credentials, and without a query, where some put them. */
export function shownStateUrl(url: string): string {
  return url.replace(/\/\/.*@/, '//…@').replace(/\?.*$/, '')
}

/**
 * The store of a configuration (config.ts). `create`: see {@link DriverOptions}.
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
 * The driver that a state URL names.
 * @throws ConfigurationError if no driver takes the URL; the message leaves out all but the scheme, since the
 * rest may hold a password.
 * @throws StoreError if the store cannot be opened.
 */
export async function openDriver(url: string, options: DriverOptions = {}): Promise<Driver> {
  const found = find(url)
  if (found !== undefined) return found.scheme.open(found.rest, options)
  const [scheme = ''] = url.split(':', 1)
  throw new ConfigurationError([
    `STATE_URL: expected one of ${STATE_URL_FORMS.join(', ')}; found one that begins with ${JSON.stringify(scheme)}`,
  ])
}

function find(url: string): { scheme: Scheme; rest: string } | undefined {
  const colon = url.indexOf(':')
  const scheme = SCHEMES.get(url.slice(0, Math.max(0, colon)))
  const rest = url.slice(colon + 1)
  return scheme?.rest.test(rest) ? { scheme, rest } : undefined
}

async function openSqlite(file: string, { create = true }: DriverOptions): Promise<Driver> {
  if (!create && !existsSync(file))
    throw new StoreError(
      `There is no SQLite store ${resolve(file)}: set STATE_URL to the one that ptp-watch ingest writes`,
      {
        retryable: false,
      },
    )
  return (await import('#shared/state/drivers/sqlite.ts')).createSqliteDriver(file)
}

async function openMemory(): Promise<Driver> {
  return (await import('#shared/state/drivers/memory.ts')).createMemoryDriver()
}

async function openConfigMap(
  rest: string,
  { log = silentLog, kubernetes = {} }: DriverOptions,
): Promise<Driver> {
  const { createConfigMapDriver } = await import('#shared/state/drivers/configmap.ts')
  return createConfigMapDriver(rest.slice(2), { log, kubernetes })
}

/** The driver reads the whole URL, and says better what is wrong with it than a pattern can. */
function redis(scheme: string, form: string): [string, Scheme] {
  const open: Scheme['open'] = async (rest, { log = silentLog, redis }) => {
    const { createRedisDriver } = await import('#shared/state/drivers/redis.ts')
    return createRedisDriver(`${scheme}:${rest}`, { log, redis })
  }
  return [scheme, { form: `${scheme}://${form}`, rest: /^\/\/./, open }]
}

import { createCredentials } from '#shared/credentials.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { type Endpoint, parseRedisUrl, shown } from './address.ts'
import { type Cluster, createCluster } from './cluster.ts'
import { type Connection, connect, TIMING, type Timing } from './connection.ts'
import { findMaster, findServer } from './discovery.ts'
import { RedisError } from './failure.ts'
import { createLink } from './link.ts'

/** What the environment says of Redis beside the URL: `Config` has it as `stateOptions.redis`. */
export type RedisSettings = {
  /** PEM file of the authorities to trust, instead of the system's. */
  readonly ca?: string | undefined
  /** File of the password, instead of the one in the URL. */
  readonly password?: string | undefined
}

/** One server, a master named by Sentinels, or a cluster: whatever the URL leads to. */
export type RedisClient = {
  /**
   * Sends a command whose keys all have the hash tag `{tag}`.
   * @throws StoreError at once while Redis is out of reach, and within Timing otherwise; nothing is queued.
   * @throws ConfigurationError if a file cannot be used the first time.
   */
  send(tag: string, command: readonly string[]): Promise<unknown>
  close(): void
}

/**
 * A client that connects when it is first used, and again when it has to. The files are read anew for each
 * connection.
 * @throws ConfigurationError if the URL cannot be used.
 */
export function createRedisClient(
  url: string,
  deps: { log: Log; settings?: RedisSettings | undefined },
  timing: Timing = TIMING,
): RedisClient {
  const { log, settings = {} } = deps
  const address = parseRedisUrl(url)
  const credentials = createCredentials(
    { ca: settings.ca, token: settings.password },
    { clock: systemClock, log },
    { whom: 'Redis' },
  )
  let cluster: Cluster | undefined

  const openAs = (login: { username: string | undefined; password: string | undefined }, database: number) =>
    async function open(endpoint: Endpoint): Promise<Connection> {
      const { ca, token } = await credentials.current({ fresh: true })
      const password = login.password === undefined ? undefined : (token ?? login.password)
      return connect(endpoint, { ...login, password, ca, tls: address.tls, database }, timing)
    }
  const login = { username: address.username, password: address.password ?? (settings.password && '') }
  const open = openAs(login, address.database)
  const openPlainly = openAs({ username: undefined, password: undefined }, 0)
  const openSentinel = async (endpoint: Endpoint) => {
    try {
      return await openPlainly(endpoint)
    } catch (error) {
      if (!(error instanceof RedisError && error.reply === 'NOAUTH')) throw error
      return openAs(login, 0)(endpoint)
    }
  }

  async function find(): Promise<Connection> {
    if (address.master !== undefined) return findMaster(address.endpoints, address.master, openSentinel, open)
    const members = [...address.endpoints, ...(cluster?.members() ?? [])]
    return findServer([...new Map(members.map((each) => [shown(each), each])).values()], open)
  }

  const link = createLink(async () => {
    const connection = await find()
    const { where, facts } = connection
    log.debug('Connected to Redis', { server: where, version: facts.version, mode: facts.mode })
    if (facts.eviction !== undefined) {
      log.warn('Redis may drop states when its memory is full: set maxmemory-policy to noeviction', {
        server: where,
        policy: facts.eviction,
      })
    }
    return connection
  })

  async function route(): Promise<Connection | Cluster> {
    if (cluster !== undefined) return cluster
    const connection = await link.get()
    if (connection.facts.mode !== 'cluster') return connection
    cluster ??= createCluster(link, open)
    return cluster
  }

  const sendOver = (target: Connection | Cluster, tag: string, command: readonly string[]) => {
    if ('members' in target) return target.send(tag, command)
    return target.send(command).catch((error: unknown) => {
      // It was a master: another one is, by now.
      if (error instanceof RedisError && error.reply === 'READONLY') target.close()
      throw error
    })
  }

  return {
    send(tag, command) {
      const target = cluster ?? link.current()
      if (target !== undefined && ('members' in target || target.facts.mode !== 'cluster')) {
        return sendOver(target, tag, command)
      }
      return route().then((found) => sendOver(found, tag, command))
    },
    close() {
      link.close()
      cluster?.close()
    },
  }
}

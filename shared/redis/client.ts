import { createCredentials } from '#shared/credentials.ts'
import { within } from '#shared/deadline.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { type Endpoint, parseRedisUrl, shown } from './address.ts'
import { openCluster } from './cluster.ts'
import { findMaster, findServer } from './discovery.ts'
import { failureOf, RedisError } from './failure.ts'
import { createLink, type Opened } from './link.ts'
import { type Access, connect, type Login, type Server } from './server.ts'
import { TIMING, type Timing } from './timing.ts'

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
   * @throws StoreError at once while Redis is out of reach, and within Timing otherwise; nothing is queued. A command
   * that was not answered in time may have been carried out nevertheless.
   * @throws ConfigurationError if a file cannot be used the first time.
   */
  send(tag: string, command: readonly string[]): Promise<unknown>
  close(): void
}

/** What commands go to. */
type Target = Opened & {
  /** For messages. */
  readonly where: string
  readonly cluster: boolean
  send(tag: string, command: readonly string[]): Promise<unknown>
  /** By hash tag: when the first command was sent since which nothing was answered. */
  readonly silentSince: Map<string, number>
}

/** What may lie unanswered: JavaScript characters, and so much on top for each command. */
const UNANSWERED_LIMIT = 64 * 1024 * 1024
const COMMAND_WEIGHT = 1024

/** What is answered, or not, where another server has become the master. */
const OUTDATED: ReadonlySet<string | undefined> = new Set([
  undefined,
  'CLUSTERDOWN',
  'READONLY',
  'MASTERDOWN',
])

/**
 * A client that connects when it is first used, and again when it has to. The files are read again for each new
 * connection.
 * @throws ConfigurationError if the URL cannot be used.
 */
export function createRedisClient(
  url: string,
  deps: { log: Log; settings?: RedisSettings | undefined },
  timing: Timing = TIMING,
): RedisClient {
  const { log, settings = {} } = deps
  const { tls, endpoints, master, username, password, database } = parseRedisUrl(url)
  const credentials = createCredentials(
    { ca: settings.ca, token: settings.password },
    { clock: systemClock, log },
    { whom: 'Redis' },
  )
  const login = async (): Promise<Login> => {
    const { token } = await credentials.current({ fresh: true })
    return { username, password: token ?? password }
  }
  let members: readonly Endpoint[] = []
  let unanswered = 0

  async function accessAs(who: Access['login'], to = database): Promise<Access> {
    const { ca } = await credentials.current({ fresh: true })
    return { ca, tls, login: who, database: to }
  }
  const open = async (endpoint: Endpoint) => connect(endpoint, await accessAs(login), timing)
  const openSentinel = async (endpoint: Endpoint) => {
    try {
      return await connect(endpoint, await accessAs(async () => ({}), 0), timing)
    } catch (error) {
      if (!(error instanceof RedisError && error.reply === 'NOAUTH')) throw error
      return connect(endpoint, await accessAs(login, 0), timing)
    }
  }

  async function find(): Promise<Server> {
    if (master !== undefined) return findMaster(endpoints, master, openSentinel, open)
    const known = new Map([...endpoints, ...members].map((each) => [shown(each), each]))
    return findServer([...known.values()], open)
  }

  async function openTarget(): Promise<Target> {
    const server = await find()
    const { where, facts } = server
    log.debug('connected to Redis', { server: where, version: facts.version, mode: facts.mode })
    if (facts.eviction !== undefined) {
      log.warn('Redis may drop states when its memory is full: set maxmemory-policy to noeviction', {
        server: where,
        policy: facts.eviction,
      })
    }
    const target = { where, cluster: facts.mode === 'cluster', silentSince: new Map<string, number>() }
    if (!target.cluster) return { ...server, ...target, send: (_tag, command) => server.send(command) }
    try {
      const { send, close, ...cluster } = await openCluster(server, await accessAs(login), timing)
      members = cluster.members()
      return { ...target, send, close, isOpen: () => true }
    } catch (error) {
      throw failureOf(where, error)
    } finally {
      server.close()
    }
  }

  const link = createLink(openTarget, { graceMs: timing.answerMs })

  /** Something else may be the right one to ask by now; what a cluster's other masters are asked goes on meanwhile. */
  function giveUp(target: Target): void {
    if (target.cluster) link.replace()
    else target.close()
  }

  function ask(target: Target, tag: string, command: readonly string[], heard: () => void): Promise<unknown> {
    const { where, silentSince } = target
    const sentAt = performance.now()
    const reply = target
      .send(tag, command)
      .catch((cause: unknown) => {
        const error = failureOf(where, cause)
        if (OUTDATED.has(error.reply)) giveUp(target)
        throw error
      })
      .finally(() => {
        heard()
        silentSince.delete(tag)
      })
    return within(timing.answerMs, reply, () => {
      const since = silentSince.get(tag) ?? sentAt
      silentSince.set(tag, since)
      if (performance.now() - since >= timing.silenceMs) giveUp(target)
      return new RedisError(`Redis at ${where} did not answer within ${timing.answerMs} ms`)
    })
  }

  return {
    async send(tag, command) {
      const weight = command.reduce((sum, part) => sum + part.length, COMMAND_WEIGHT)
      if (unanswered > 0 && unanswered + weight > UNANSWERED_LIMIT) {
        throw new RedisError('Too many commands wait for a reply from Redis')
      }
      unanswered += weight
      const heard = () => {
        unanswered -= weight
      }
      const target = await link.get().catch((error: unknown) => {
        heard()
        throw error
      })
      return ask(target, tag, command, heard)
    },
    close: link.close,
  }
}

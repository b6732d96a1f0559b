import * as z from 'zod/mini'
import { type Credentials, createCredentials } from '#shared/credentials.ts'
import { within } from '#shared/deadline.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { type Endpoint, parseRedisUrl, shown } from './address.ts'
import { type Connection, connect, connectCluster, type Options, optionsOf } from './connection.ts'
import { redisFailureOf, RedisError } from './failure.ts'
import { createLink } from './link.ts'

/** The limit for connecting and for a reply, below the 1.5 s that a publisher waits (protocol.md §3.1). */
const WAIT_MS = 1000
/** A connection with unanswered commands is given up after this many waits without any reply. */
const SILENT_WAITS = 3

/** How much may be unanswered: JavaScript characters, plus a fixed weight per command. */
const UNANSWERED_LIMIT = 64 * 1024 * 1024
const COMMAND_WEIGHT = 1024

/** Error replies (or no reply) after which another server may be the master. */
const OUTDATED: readonly (string | undefined)[] = [undefined, 'CLUSTERDOWN', 'READONLY', 'MASTERDOWN']

const addressReply = z.tuple([z.string(), z.coerce.number()])

/**
 * A client for a single server, a master found through Sentinels, or a cluster, depending on the URL. It connects on
 * first use and again when needed. `files`: certificate authorities to trust instead of the system's, and a password
 * that replaces the one in the URL; both are read again for each new connection.
 * @throws ConfigurationError if the URL is invalid.
 */
export function createRedisClient(
  url: string,
  { log, files }: { log: Log; files: Credentials },
  waitMs = WAIT_MS,
) {
  const address = parseRedisUrl(url)
  const { endpoints, master } = address
  const credentials = createCredentials(files, { clock: systemClock, log }, { whom: 'Redis' })
  let known = endpoints
  let unanswered = 0
  /** By hash tag: when the oldest command was sent since the last reply. */
  const silentSince = new Map<string, number>()

  /** Asks a Sentinel for the master, without logging in at first, and connects to it. */
  async function connectToMaster(name: string, endpoint: Endpoint, options: Options): Promise<Connection> {
    const own = { ...options, database: 0 }
    const anonymous = { ...options.credentialsProvider, credentials: async () => ({}) }
    const sentinel = await connect(endpoint, 'sentinel', { ...own, credentialsProvider: anonymous }).catch(
      (error: unknown) => {
        if (error instanceof RedisError && error.reply === 'NOAUTH') return connect(endpoint, 'sentinel', own)
        throw error
      },
    )
    try {
      const reply = await sentinel.send('', ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name])
      const { success, data } = addressReply.safeParse(reply)
      if (success) return await connect({ host: data[0], port: data[1] }, 'master', options)
    } catch (cause) {
      const error = redisFailureOf(sentinel.where, cause)
      // The Sentinels are about to elect another master.
      throw error.reply === 'READONLY' ? new RedisError(error.message, { reply: error.reply }) : error
    } finally {
      sentinel.close()
    }
    throw new RedisError(`The Sentinel at ${sentinel.where} knows no master named ${name}`, { refused: true })
  }

  const link = createLink(async () => {
    const options = await optionsOf(address, credentials, waitMs)
    const server = await first(
      master === undefined
        ? known.map((endpoint) => connect(endpoint, 'master', options))
        : endpoints.map((endpoint) => connectToMaster(master, endpoint, options)),
    )
    const { where, info } = server
    const facts = { server: where, version: info('redis_version'), mode: info('redis_mode') }
    log.debug('connected to Redis', facts)
    const policy = info('maxmemory_policy')
    if (policy !== undefined && policy !== 'noeviction' && info('maxmemory') !== '0') {
      log.warn('Redis may drop states when its memory is full: set maxmemory-policy to noeviction', {
        server: where,
        policy,
      })
    }
    if (!isCluster(server)) return server
    try {
      const cluster = await connectCluster(server, options)
      const all = new Map([...endpoints, ...cluster.endpoints].map((each) => [shown(each), each]))
      known = [...all.values()]
      return cluster
    } finally {
      server.close()
    }
  })

  /** Another server may be the right one by now. In a cluster, commands to the other masters continue meanwhile. */
  function giveUp(connection: Connection): void {
    if (isCluster(connection)) link.replace()
    else connection.close()
  }

  async function ask(connection: Connection, tag: string, command: readonly string[]): Promise<unknown> {
    const weight = command.reduce((sum, part) => sum + part.length, COMMAND_WEIGHT)
    if (unanswered > 0 && unanswered + weight > UNANSWERED_LIMIT) {
      throw new RedisError('Too many commands wait for a reply from Redis')
    }
    unanswered += weight
    try {
      return await connection.send(tag, command)
    } catch (cause) {
      const error = redisFailureOf(connection.where, cause)
      if (OUTDATED.includes(error.reply)) giveUp(connection)
      throw error
    } finally {
      unanswered -= weight
      silentSince.delete(tag)
    }
  }

  return {
    /**
     * Sends a command whose keys all have the hash tag `{tag}`.
     * @throws StoreError at once while Redis is unreachable, otherwise within `waitMs`; nothing is queued. A command
     * that timed out may have been executed nevertheless.
     * @throws ConfigurationError if a file cannot be read the first time.
     */
    async send(tag: string, command: readonly string[]): Promise<unknown> {
      const connection = await link.get()
      const sentAt = performance.now()
      return within(waitMs, ask(connection, tag, command), () => {
        const since = silentSince.get(tag) ?? sentAt
        silentSince.set(tag, since)
        if (performance.now() - since >= SILENT_WAITS * waitMs) giveUp(connection)
        return new RedisError(`Redis at ${connection.where} did not answer within ${waitMs} ms`)
      })
    },
    close: link.close,
  }
}

function isCluster({ info }: Connection): boolean {
  return info('redis_mode') === 'cluster'
}

/**
 * The first of several connection attempts to succeed, so that a silent server delays nothing; later ones are closed.
 */
async function first(attempts: readonly Promise<Connection>[]): Promise<Connection> {
  try {
    const chosen = await Promise.any(attempts)
    for (const attempt of attempts) {
      attempt.then(
        (other) => other !== chosen && other.close(),
        () => {},
      )
    }
    return chosen
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error
    const reasons = error.errors.filter((each) => each instanceof RedisError)
    if (reasons.length === 1) throw reasons[0]
    // Refused only if every server refused; otherwise a retry may succeed.
    throw new RedisError([...new Set(reasons.map(({ message }) => message))].join('; '), {
      refused: reasons.every(({ refused }) => refused),
    })
  }
}

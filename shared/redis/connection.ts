import { createClient, ErrorReply } from '@redis/client'
import { type Endpoint, shown } from './address.ts'
import { connectionFailure, RedisError, replyFailure } from './failure.ts'

/** How long is waited for what; all in milliseconds. */
export type Timing = {
  /** For a connection, up to the server's answer to who it is. */
  readonly connectMs: number
  /** For the answer to one command. */
  readonly answerMs: number
  /** A connection over which nothing came for so long, though something was asked, is given up. */
  readonly silenceMs: number
}

/** Within the 1.5 s that a publisher waits for its answer, most of the time (protocol.md §3.1). */
export const TIMING: Timing = { connectMs: 1000, answerMs: 1000, silenceMs: 3000 }

/** What may lie unanswered on one connection: JavaScript characters, and so much on top for each command. */
const UNANSWERED_LIMIT = 64 * 1024 * 1024
const COMMAND_WEIGHT = 1024

export type Access = {
  readonly ca?: string | undefined
  readonly tls: boolean
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly database: number
}

export type ServerFacts = {
  /** Undefined where the user may not ask (`INFO`). */
  readonly version: string | undefined
  readonly mode: 'standalone' | 'cluster' | 'sentinel'
  readonly replica: boolean
  /** The policy by which keys may be dropped when the memory is full; undefined where none would. */
  readonly eviction: string | undefined
}

/** One connection to one server. It never reconnects: whoever holds it opens another. */
export type Connection = {
  readonly endpoint: Endpoint
  /** The same, for messages. */
  readonly where: string
  readonly facts: ServerFacts
  isOpen(): boolean
  /**
   * Commands sent in one turn of the event loop travel together and are answered in order.
   * @throws RedisError. A command that was not answered in time may have been carried out nevertheless.
   */
  send(command: readonly string[]): Promise<unknown>
  close(): void
}

/**
 * Connects, logs in and asks the server what it is.
 * @throws RedisError
 */
export async function connect(endpoint: Endpoint, access: Access, timing: Timing): Promise<Connection> {
  const where = shown(endpoint)
  const { host, port } = endpoint
  const { username, password, ca, tls, database } = access
  const client = createClient({
    RESP: 2,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    database,
    socket: {
      host,
      port,
      connectTimeout: timing.connectMs,
      reconnectStrategy: false,
      ...(tls && { tls: true, ...(ca !== undefined && { ca }) }),
    },
    commandOptions: { timeout: 0 },
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  let lost: RedisError | undefined
  let unanswered = 0
  let heardAt = 0

  function lose(error: RedisError): void {
    lost ??= error
    if (client.isOpen) client.destroy()
  }

  function failure(error: unknown): RedisError {
    if (error instanceof RedisError) return error
    if (error instanceof ErrorReply) return replyFailure(where, error.message)
    return lost ?? connectionFailure(where, error)
  }

  function send(command: readonly string[]): Promise<unknown> {
    if (lost !== undefined) return Promise.reject(lost)
    const weight = command.reduce((sum, part) => sum + part.length, COMMAND_WEIGHT)
    if (unanswered > 0 && unanswered + weight > UNANSWERED_LIMIT) {
      return Promise.reject(new RedisError(`Redis at ${where} has too much to answer already`))
    }
    if (unanswered === 0) heardAt = performance.now()
    unanswered += weight
    return new Promise((resolve, reject) => {
      const callOff = inTime(timing.answerMs, () => {
        const silent = performance.now() - heardAt
        const error = new RedisError(`Redis at ${where} did not answer within ${timing.answerMs} ms`)
        reject(error)
        if (silent >= timing.silenceMs) lose(error)
      })
      const heard = () => {
        callOff()
        unanswered -= weight
        heardAt = performance.now()
      }
      client.sendCommand(command).then(
        (reply) => {
          heard()
          resolve(reply)
        },
        (error: unknown) => {
          heard()
          reject(failure(error))
        },
      )
    })
  }

  client.on('error', (error: unknown) => lose(failure(error)))
  const deadline = inTime(timing.connectMs, () =>
    lose(new RedisError(`Redis at ${where} could not be reached within ${timing.connectMs} ms`)),
  )
  try {
    const given = Promise.withResolvers<never>()
    client.on('error', () => given.reject(lost))
    client.on('end', () => given.reject(lost))
    await Promise.race([client.connect(), given.promise])
    const facts = await askFacts((command) => client.sendCommand(command))
    refuse(where, facts)
    return {
      endpoint,
      where,
      facts,
      isOpen: () => lost === undefined && client.isReady,
      send,
      close: () => lose(new RedisError(`The connection to Redis at ${where} is closed`)),
    }
  } catch (error) {
    const reason = failure(error)
    lose(reason)
    throw lost ?? reason
  } finally {
    deadline()
  }
}

/**
 * Runs `late` after so many milliseconds, unless it is called off with what this returns. What came while this
 * process was busy is heard before it is called late.
 */
function inTime(ms: number, late: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    immediate = setImmediate(late)
  }, ms)
  return () => {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}

/** XTRIM by id and exclusive ranges came with 6.2; every Valkey calls itself a later Redis. */
const OLDEST = [6, 2] as const

function refuse(where: string, { version }: ServerFacts): void {
  const [major = 0, minor = 0] = version?.split('.').map(Number) ?? OLDEST
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  throw new RedisError(`Redis at ${where} is too old: it is ${version}, and ${OLDEST.join('.')} is needed`, {
    refused: true,
    retryable: false,
  })
}

/** The deadline of the whole connection holds for this too, so that it needs none of its own. */
async function askFacts(send: Connection['send']): Promise<ServerFacts> {
  const sections = ['server', 'replication', 'memory']
  const info = await Promise.all(sections.map((section) => send(['INFO', section])))
    .then((texts) => texts.map(String).join('\n'))
    .catch((error: unknown) => {
      if (error instanceof ErrorReply && error.message.startsWith('NOPERM')) return ''
      throw error
    })
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1]
  const mode = field('redis_mode')
  const policy = field('maxmemory') === '0' ? undefined : field('maxmemory_policy')
  return {
    version: field('redis_version'),
    mode: mode === 'cluster' || mode === 'sentinel' ? mode : 'standalone',
    replica: field('role') === 'slave',
    eviction: policy === 'noeviction' ? undefined : policy,
  }
}

import { createClient, type RedisClientOptions } from '@redis/client'
import { within } from '#shared/deadline.ts'
import { type Endpoint, shown } from './address.ts'
import { failureOf, RedisError } from './failure.ts'
import type { Timing } from './timing.ts'

export type Login = { readonly username?: string | undefined; readonly password?: string | undefined }

export type Access = {
  readonly ca?: string | undefined
  readonly tls: boolean
  /** Asked for each new connection, since the password may come from a file. */
  readonly login: () => Promise<Login>
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
export type Server = {
  readonly endpoint: Endpoint
  /** The same, for messages. */
  readonly where: string
  readonly facts: ServerFacts
  isOpen(): boolean
  send(command: readonly string[]): Promise<unknown>
  /** Commands that were not answered are rejected. */
  close(): void
}

/** What is the same for every connection: nothing is queued while it is away, and it never reconnects by itself. */
export function clientOptions({ ca, tls, login, database }: Access, { connectMs }: Timing) {
  return {
    credentialsProvider: {
      type: 'async-credentials-provider',
      credentials: async () => {
        const { username, password } = await login()
        return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) }
      },
    },
    database,
    socket: {
      connectTimeout: connectMs,
      reconnectStrategy: false,
      ...(tls && { tls: true, ...(ca !== undefined && { ca }) }),
    },
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  } as const satisfies RedisClientOptions
}

/**
 * Connects, logs in and asks the server what it is.
 * @throws RedisError
 */
export async function connect(endpoint: Endpoint, access: Access, timing: Timing): Promise<Server> {
  const where = shown(endpoint)
  const options = clientOptions(access, timing)
  const client = createClient({
    ...options,
    RESP: 2,
    socket: { ...options.socket, ...endpoint },
    commandOptions: { timeout: 0 },
  })
  // What it tells is also what the commands are rejected with.
  client.on('error', () => {})
  const begin = async () => {
    await client.connect()
    return askFacts((command) => client.sendCommand(command))
  }
  try {
    const late = () => new RedisError(`Redis at ${where} could not be reached within ${timing.connectMs} ms`)
    const facts = await within(timing.connectMs, begin(), late)
    refuseOld(where, facts)
    return {
      endpoint,
      where,
      facts,
      isOpen: () => client.isReady,
      send: (command) => client.sendCommand(command),
      close: () => client.destroy(),
    }
  } catch (error) {
    client.destroy()
    throw failureOf(where, error)
  }
}

/** XTRIM by id and exclusive ranges came with 6.2; every Valkey calls itself a later Redis. */
const OLDEST = [6, 2] as const

function refuseOld(where: string, { version }: ServerFacts): void {
  const [major = 0, minor = 0] = version?.split('.').map(Number) ?? OLDEST
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  throw new RedisError(`Redis at ${where} is too old: it is ${version}, and ${OLDEST.join('.')} is needed`, {
    refused: true,
    retryable: false,
  })
}

async function askFacts(send: Server['send']): Promise<ServerFacts> {
  const sections = ['server', 'replication', 'memory']
  const info = await Promise.all(sections.map((section) => send(['INFO', section])))
    .then((texts) => texts.map(String).join('\n'))
    .catch((error: unknown) => {
      if (error instanceof Error && error.message.startsWith('NOPERM')) return ''
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

import { createClient, createCluster, type RedisClientOptions } from '@redis/client'
import type { CredentialSource } from '#shared/credentials.ts'
import { within } from '#shared/deadline.ts'
import { type Endpoint, type RedisAddress, shown } from './address.ts'
import { redisFailureOf, RedisError } from './failure.ts'

/** A connection to a single server or to a cluster. It never reconnects: its owner opens a new one. */
export type Connection = {
  /** The server, or the masters of the cluster. */
  readonly endpoints: readonly Endpoint[]
  /** The server that was asked, for error messages. */
  readonly where: string
  /** A field of the server's INFO; undefined if the user may not ask. */
  info(field: string): string | undefined
  isOpen(): boolean
  /** In a cluster, sent to the master that serves the slot of the hash tag, wherever it has moved. */
  send(tag: string, command: readonly string[]): Promise<unknown>
  /** Rejects commands that are still unanswered. */
  close(): void
}

/** How often a command may be redirected in a cluster; it takes two while a slot is being moved. */
const REDIRECTIONS = 4
/** XTRIM by id and exclusive ranges need 6.2; every Valkey reports a later Redis version. */
const OLDEST = 6.2

const PROTOCOL = { RESP: 2, commandOptions: { timeout: 0 } } as const

export type Options = Awaited<ReturnType<typeof optionsOf>>

/** Connection options, with the current content of the files. Nothing is queued while a server is unreachable. */
export async function optionsOf(
  { tls, login, database }: RedisAddress,
  credentials: CredentialSource,
  waitMs: number,
) {
  const { ca } = await credentials.current({ fresh: true })
  const currentLogin = async (): Promise<RedisAddress['login']> => {
    const { token } = await credentials.current({ fresh: true })
    return token === undefined ? login : { ...login, password: token }
  }
  return {
    credentialsProvider: { type: 'async-credentials-provider', credentials: currentLogin },
    database,
    socket: { connectTimeout: waitMs, reconnectStrategy: false, ...(tls && { tls, ...(ca && { ca }) }) },
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  } as const satisfies RedisClientOptions
}

/** Connects, logs in, and checks that the server has the expected role. @throws RedisError */
export async function connect(
  endpoint: Endpoint,
  role: 'master' | 'sentinel',
  options: Options,
): Promise<Connection> {
  const where = shown(endpoint)
  const waitMs = options.socket.connectTimeout
  const client = createClient({ ...PROTOCOL, ...options, socket: { ...options.socket, ...endpoint } })
  // Commands are rejected with the same error.
  client.on('error', () => {})
  const begin = async () => {
    await client.connect()
    return client.sendCommand(['INFO']).catch((error: unknown) => {
      if (redisFailureOf(where, error).reply === 'NOPERM') return ''
      throw error
    })
  }
  const late = () => new RedisError(`Redis at ${where} could not be reached within ${waitMs} ms`)
  try {
    const text = String(await within(waitMs, begin(), late))
    const info = (field: string) => new RegExp(`^${field}:(.*?)\r?$`, 'm').exec(text)?.[1]
    refuseUnfit(where, role, info)
    return {
      endpoints: [endpoint],
      where,
      info,
      isOpen: () => client.isReady,
      send: (_tag, command) => client.sendCommand(command),
      close: () => client.destroy(),
    }
  } catch (error) {
    client.destroy()
    throw redisFailureOf(where, error)
  }
}

function refuseUnfit(where: string, role: 'master' | 'sentinel', info: Connection['info']): void {
  const version = info('redis_version')
  if (version !== undefined && Number.parseFloat(version) < OLDEST) {
    const message = `Redis at ${where} is too old: it is ${version}, and ${OLDEST} is needed`
    throw new RedisError(message, { refused: true, retryable: false })
  }
  const mode = info('redis_mode') ?? role
  if (role === 'sentinel' && mode !== 'sentinel') {
    throw new RedisError(`Redis at ${where} is not a Sentinel: use redis:// instead`, { refused: true })
  }
  if (role === 'master' && mode === 'sentinel') {
    const message = `Redis at ${where} is a Sentinel: use redis-sentinel://…/<master> instead`
    throw new RedisError(message, { refused: true })
  }
  // In a cluster, a replica redirects writers to its master.
  if (role === 'master' && mode !== 'cluster' && info('role') === 'slave') {
    throw new RedisError(`Redis at ${where} is a read-only replica`, { reply: 'READONLY', refused: true })
  }
}

/** The cluster that a member belongs to; each master is connected to on first use. @throws RedisError */
export async function connectCluster(
  { endpoints, where, info }: Connection,
  options: Options,
): Promise<Connection> {
  const waitMs = options.socket.connectTimeout
  const cluster = createCluster({
    ...PROTOCOL,
    rootNodes: endpoints.map((socket) => ({ socket })),
    defaults: options,
    minimizeConnections: true,
    maxCommandRedirections: REDIRECTIONS,
  })
  let reason: unknown
  cluster.on('error', (error: unknown) => {
    reason = error
  })
  const late = () => new RedisError(`Redis at ${where} did not describe its cluster within ${waitMs} ms`)
  try {
    await within(waitMs, cluster.connect(), late)
    if (cluster.masters.length === 0) {
      throw new RedisError(
        `Redis at ${where} is in cluster mode, but no master serves any slots: finish creating the cluster`,
      )
    }
    return {
      endpoints: cluster.masters.map(({ host, port }) => ({ host, port })),
      where,
      info,
      isOpen: () => true,
      send: (tag, command) => cluster.sendCommand(`{${tag}}`, false, [...command]),
      close: () => cluster.destroy(),
    }
  } catch (error) {
    cluster.destroy()
    throw redisFailureOf(where, reason ?? error)
  }
}

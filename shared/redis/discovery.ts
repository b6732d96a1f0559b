import * as z from 'zod/mini'
import type { Endpoint } from './address.ts'
import type { Connection } from './connection.ts'
import { RedisError } from './failure.ts'

/** Connects to one server. */
export type Open = (endpoint: Endpoint) => Promise<Connection>

/**
 * The first of the servers that answers and may be written to, or that knows a cluster. All are tried at once,
 * so that one which is silent delays nothing.
 * @throws RedisError the most telling of the reasons, if there is no such server.
 */
export async function findServer(endpoints: readonly Endpoint[], open: Open): Promise<Connection> {
  return first(
    endpoints.map(async (endpoint) => {
      const connection = await open(endpoint)
      const problem = unfit(connection)
      if (problem === undefined) return connection
      connection.close()
      throw problem
    }),
  )
}

/**
 * The master that the Sentinels name. Whoever answers first is believed, and the server itself has to agree.
 * `openSentinel` is for the Sentinels, which may want another login than the servers.
 * @throws RedisError
 */
export async function findMaster(
  sentinels: readonly Endpoint[],
  name: string,
  openSentinel: Open,
  open: Open,
): Promise<Connection> {
  const master = await first(
    sentinels.map(async (endpoint) => {
      const sentinel = await openSentinel(endpoint)
      try {
        return await askForMaster(sentinel, name)
      } finally {
        sentinel.close()
      }
    }),
  )
  return findServer([master], open)
}

const addressReply = z.nullable(z.tuple([z.string(), z.coerce.number()]))

async function askForMaster(sentinel: Connection, name: string): Promise<Endpoint> {
  if (sentinel.facts.mode !== 'sentinel' && sentinel.facts.version !== undefined) {
    throw new RedisError(`Redis at ${sentinel.where} is no Sentinel; use redis:// for it`, { refused: true })
  }
  const reply = addressReply.safeParse(await sentinel.send(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]))
  if (reply.success && reply.data !== null) return { host: reply.data[0], port: reply.data[1] }
  throw new RedisError(`The Sentinel at ${sentinel.where} knows no master named ${name}`, { refused: true })
}

function unfit({ where, facts }: Connection): RedisError | undefined {
  if (facts.mode === 'sentinel') {
    return new RedisError(`Redis at ${where} is a Sentinel; use redis-sentinel://…/<master> for it`, {
      refused: true,
    })
  }
  // A replica of a cluster sends to its master whoever wants to write.
  if (facts.mode === 'cluster' || !facts.replica) return undefined
  return new RedisError(`Redis at ${where} is a read-only replica`, { reply: 'READONLY', refused: true })
}

/** The first that succeeds; connections that come later are closed. */
async function first<T extends Connection | Endpoint>(attempts: readonly Promise<T>[]): Promise<T> {
  const chosen = await Promise.any(attempts).catch((error: unknown) => {
    const reasons: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    throw reasons.find((reason) => reason instanceof RedisError && reason.refused) ?? reasons[0]
  })
  for (const attempt of attempts) {
    attempt.then(
      (other) => {
        if (other !== chosen && 'close' in other) other.close()
      },
      () => {},
    )
  }
  return chosen
}

import * as z from 'zod/mini'
import { reasonOf } from '#shared/errors.ts'
import type { Endpoint } from './address.ts'
import { failureOf, RedisError } from './failure.ts'
import type { Server } from './server.ts'

/** Connects to one server. */
export type Open = (endpoint: Endpoint) => Promise<Server>

/**
 * The first of the servers that answers and may be written to, or that knows a cluster. All are tried at once,
 * so that one which is silent delays nothing.
 * @throws RedisError with the reasons of all, if there is no such server.
 */
export async function findServer(endpoints: readonly Endpoint[], open: Open): Promise<Server> {
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
): Promise<Server> {
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
  try {
    return await findServer([master], open)
  } catch (error) {
    if (!(error instanceof RedisError && error.reply === 'READONLY')) throw error
    // The Sentinels are about to name another.
    throw new RedisError(error.message, { reply: error.reply })
  }
}

const addressReply = z.nullable(z.tuple([z.string(), z.coerce.number()]))

async function askForMaster(sentinel: Server, name: string): Promise<Endpoint> {
  if (sentinel.facts.mode !== 'sentinel' && sentinel.facts.version !== undefined) {
    throw new RedisError(`Redis at ${sentinel.where} is not a Sentinel: use redis:// instead`, {
      refused: true,
    })
  }
  const asked = sentinel.send(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name])
  const reply = addressReply.safeParse(
    await asked.catch((error: unknown) => {
      throw failureOf(sentinel.where, error)
    }),
  )
  if (reply.success && reply.data !== null) return { host: reply.data[0], port: reply.data[1] }
  throw new RedisError(`The Sentinel at ${sentinel.where} knows no master named ${name}`, { refused: true })
}

function unfit({ where, facts }: Server): RedisError | undefined {
  if (facts.mode === 'sentinel') {
    return new RedisError(`Redis at ${where} is a Sentinel: use redis-sentinel://…/<master> instead`, {
      refused: true,
    })
  }
  // A replica of a cluster sends to its master whoever wants to write.
  if (facts.mode === 'cluster' || !facts.replica) return undefined
  return new RedisError(`Redis at ${where} is a read-only replica`, { reply: 'READONLY', refused: true })
}

/** Refused by all is refused; as long as one may come, there is hope. */
function together(reasons: readonly unknown[]): unknown {
  const [reason, ...more] = reasons
  if (more.length === 0) return reason
  return (
    reasons.find((each) => !(each instanceof RedisError)) ??
    new RedisError(reasons.map(reasonOf).join('; '), {
      refused: reasons.every((each) => each instanceof RedisError && each.refused),
    })
  )
}

/** The first that succeeds; connections that come later are closed. */
async function first<T extends Server | Endpoint>(attempts: readonly Promise<T>[]): Promise<T> {
  const chosen = await Promise.any(attempts).catch((error: unknown) => {
    throw error instanceof AggregateError ? together(error.errors) : error
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

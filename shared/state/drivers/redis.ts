import { randomUUID } from 'node:crypto'
import * as z from 'zod/mini'
import { ConflictError, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createRedisClient, type RedisSettings } from '#shared/redis/client.ts'
import { TIMING, type Timing } from '#shared/redis/timing.ts'
import { RedisError } from '#shared/redis/failure.ts'
import { damagedState, parseDocument, parseEntry, repairOf } from '#shared/state/document.ts'
import type { Driver, Version, Versioned, Write } from '#shared/state/store/driver.ts'
import { indexKey, placeOf, statePrefix, TAGS } from './redis/layout.ts'
import { REMOVE, type Script, VERSIONS, WRITE } from './redis/scripts.ts'

const documentReply = z.tuple([z.nullable(z.string()), z.nullable(z.string())])
const textsReply = z.array(z.string())
const streamReply = z.array(z.tuple([z.string(), z.tuple([z.literal('entry'), z.string()])]))

/**
 * Keeps each node in a hash (the document) and a stream (its log) of one Redis, a master that Sentinels name, or a
 * Redis Cluster; docs/redis.md shows the keys. Every change is one script, whole or not at all, whoever else writes.
 *
 * Versions are random, so that none comes again: not after a removal, nor after the server lost its newest writes in
 * a crash or a failover.
 *
 * While Redis is out of reach calls fail at once or within {@link Timing}; nothing is queued. A write that was not
 * answered may have been done.
 * @throws ConfigurationError if the URL or a file cannot be used.
 * @throws StoreError if Redis answers but refuses to serve us (password, rights, version, a replica). That it is out
 * of reach is no reason: it may come.
 */
export async function createRedisDriver(
  url: string,
  deps: { log: Log; redis?: RedisSettings | undefined },
  timing: Timing = TIMING,
): Promise<Driver> {
  const client = createRedisClient(url, { log: deps.log, settings: deps.redis }, timing)
  // Every share, since in a cluster each may lie on another server.
  const ping = async () => {
    await Promise.all(TAGS.map((tag) => client.send(tag, ['ZCARD', indexKey(tag)])))
  }
  try {
    await ping()
  } catch (error) {
    if (!(error instanceof RedisError) || error.refused) {
      client.close()
      throw error
    }
    deps.log.warn('Redis is not available yet; retrying', { reason: error.message })
  }

  /** A server that does not remember the script is given its text. */
  async function run(tag: string, { text, sha1 }: Script, args: readonly string[]): Promise<unknown> {
    try {
      return await client.send(tag, ['EVALSHA', sha1, ...args])
    } catch (error) {
      if (!(error instanceof RedisError) || error.reply !== 'NOSCRIPT') throw error
      return client.send(tag, ['EVAL', text, ...args])
    }
  }

  async function change(node: string, tag: string, script: Script, args: readonly string[]): Promise<void> {
    if ((await run(tag, script, args)) !== 1) throw new ConflictError(node)
  }

  async function read(node: string): Promise<Versioned | undefined> {
    const { tag, state } = placeOf(node)
    const reply = await client.send(tag, ['HMGET', state, 'version', 'state'])
    const [version, text] = checked(documentReply, reply)
    if (version === null) return undefined
    if (text !== null) return { state: parseDocument(node, text), version }
    throw new StoreError(
      `The stored document of node ${node} is damaged or was written by an older version: ${repairOf(node)}`,
      { retryable: false },
    )
  }

  const shown = (node: string) =>
    read(node).catch((error: unknown) => ({ state: damagedState(node, error), version: '' }))

  /** Names of a tag from `from` on, in order of their bytes. */
  async function names(tag: string, from: string, count: number): Promise<string[]> {
    const range = ['ZRANGEBYLEX', indexKey(tag), `[${from}`, '+', 'LIMIT', '0', String(count)]
    return checked(textsReply, await client.send(tag, range))
  }

  return {
    read,
    async write(node, write) {
      const { tag, state, log, index } = placeOf(node)
      const version = randomUUID()
      await change(node, tag, WRITE, ['3', state, log, index, node, ...valuesOf(version, write)])
      return version
    },
    async list({ limit, from = '' }) {
      const shares = await Promise.all(TAGS.map((tag) => names(tag, from, limit + 1)))
      const sorted = sortedByBytes(shares.flat())
      const found = await Promise.all(sorted.slice(0, limit).map(shown))
      return { nodes: found.filter((each) => each !== undefined), next: sorted[limit] }
    },
    async versions() {
      const shares = await Promise.all(
        TAGS.map((tag) => run(tag, VERSIONS, ['1', indexKey(tag), statePrefix(tag)])),
      )
      const found = new Map(shares.flatMap((reply) => pairsOf(checked(textsReply, reply))))
      return new Map(sortedByBytes([...found.keys()]).map((node) => [node, found.get(node) ?? '']))
    },
    async log(node, { after, limit }) {
      const place = placeOf(node)
      const range = ['XRANGE', place.log, String(Math.max(0, after + 1)), '+', 'COUNT', String(limit)]
      const lines = checked(streamReply, await client.send(place.tag, range))
      return lines.map(([, [, text]]) => parseEntry(node, text))
    },
    remove(node, expected = '') {
      const { tag, state, log, index } = placeOf(node)
      return change(node, tag, REMOVE, ['3', state, log, index, node, expected])
    },
    ping,
    async close() {
      client.close()
    },
  }
}

/** What a write takes to the server, as the script has it. */
function valuesOf(version: Version, { state, entries, expected = '', trimThrough }: Write): string[] {
  const lowest = trimThrough > 0 ? `${trimThrough + 1}-0` : ''
  const lines = entries.flatMap((entry) => [`${entry.seq}-0`, JSON.stringify(entry)])
  return [expected, version, JSON.stringify(state), lowest, ...lines]
}

/** Two texts after the other are one. */
function pairsOf(texts: readonly string[]): [string, string][] {
  return texts.flatMap((text, i) => (i % 2 === 0 ? [[text, texts[i + 1] ?? '']] : []))
}

function checked<T>(schema: z.ZodMiniType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply)
  if (parsed.success) return parsed.data
  throw new StoreError(`Redis returned an unexpected reply`, { retryable: false })
}

/** Each name is encoded once, not at every comparison. */
function sortedByBytes(names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, bytes: Buffer.from(name) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ name }) => name)
}

import { hash, randomUUID } from 'node:crypto'
import * as z from 'zod/mini'
import type { Credentials } from '#shared/credentials.ts'
import { ConflictError, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createRedisClient } from '#shared/redis/client.ts'
import { RedisError } from '#shared/redis/failure.ts'
import { damagedState, parseDocument } from '#shared/state/document.ts'
import { byBytes, type Driver, parseEntries, type Versioned } from '#shared/state/store/driver.ts'

/**
 * Keys are spread over sixteen hash tags. Each tag has an index of its nodes, in the same cluster slot as the nodes
 * themselves, so that one script changes document, log and index atomically.
 */
export const TAGS: readonly string[] = [...'0123456789abcdef']

const statePrefix = (tag: string) => `ptpwatch:{${tag}}:state:`
/** A sorted set of the nodes with this tag. All scores are 0, so it is ordered by the bytes of the names. */
const indexKey = (tag: string) => `ptpwatch:{${tag}}:nodes`

/**
 * The keys of a node: the hash with its document, the stream with its log, and its index. The tag is the last
 * hexadecimal digit of the sum of the name's UTF-16 codes, which spreads numbered node names evenly. The name comes
 * last in a key, so that no key is ambiguous.
 */
export function keysOf(node: string) {
  let sum = 0
  for (let index = 0; index < node.length; index += 1) sum += node.charCodeAt(index)
  const tag = (sum % TAGS.length).toString(TAGS.length)
  const keys = [statePrefix(tag) + node, `ptpwatch:{${tag}}:log:${node}`, indexKey(tag)] as const
  return { tag, keys }
}

/** A script that Redis runs atomically, and the hash under which it caches it. */
type Script = { readonly text: string; readonly sha1: string }
const script = (text: string): Script => ({ text, sha1: hash('sha1', text) })

/**
 * KEYS: state, log, index. ARGV: node, expected version (empty if there is no document), new version, document, the
 * lowest log id to keep (or empty), then id and entry of each new line. Returns 1, or 0 on a conflict.
 *
 * Commands that Redis may reject for lack of memory come first: it rejects the first write of a script or none.
 */
const WRITE = script(`
local found = redis.call('HGET', KEYS[1], 'version')
if (found or '') ~= ARGV[2] then return 0 end
if not found then
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('DEL', KEYS[1], KEYS[2])
end
for i = 6, #ARGV, 2 do
  redis.call('XADD', KEYS[2], ARGV[i], 'entry', ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'state', ARGV[4])
if ARGV[5] ~= '' then redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[5]) end
return 1
`)

/** KEYS: state, log, index. ARGV: node, expected version (or empty). Returns 1, or 0 if the version differs. */
const REMOVE = script(`
local found = redis.call('HGET', KEYS[1], 'version')
if found and ARGV[2] ~= '' and found ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
`)

/**
 * KEYS: index. ARGV: the prefix of the nodes' state keys, which are in the slot of the index. Returns name and version
 * of each node in one call per tag: a call per node would cost more than everything else that looks at a quiet fleet.
 */
const VERSIONS = script(`
local all = {}
for _, node in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '-', '+')) do
  local version = redis.call('HGET', ARGV[1] .. node, 'version')
  if version then all[#all + 1] = { node, version } end
end
return all
`)

const changeReply = z.literal([0, 1])
const namesReply = z.array(z.string())
const documentReply = z.tuple([z.nullable(z.string()), z.nullable(z.string())])
const versionsReply = z.array(z.tuple([z.string(), z.string()]))
const logReply = z.array(z.tuple([z.string(), z.tuple([z.literal('entry'), z.string()])]))

/**
 * Keeps each node in a hash (the document) and a stream (its log) of a single Redis, a master found through Sentinels,
 * or a Redis Cluster; docs/redis.md shows the keys. Every change is one atomic script.
 *
 * Versions are random, so none ever repeats: not after a removal, nor after the server lost its newest writes in a
 * crash or a failover.
 *
 * While Redis is unreachable, calls fail at once or within `waitMs`; nothing is queued. A write that was not answered
 * may have been done.
 * @throws ConfigurationError if the URL or a file cannot be used.
 * @throws StoreError if Redis answers but refuses to serve us (password, permissions, version, a replica). An
 * unreachable Redis is not an error here: it may come up later.
 */
export async function createRedisDriver(
  url: string,
  { log, redis = {} }: { log: Log; redis?: Credentials | undefined },
  waitMs?: number,
): Promise<Driver> {
  const client = createRedisClient(url, { log, files: redis }, waitMs)

  async function ask<T>(reply: z.ZodMiniType<T>, tag: string, command: readonly string[]): Promise<T> {
    const parsed = reply.safeParse(await client.send(tag, command))
    if (parsed.success) return parsed.data
    throw new StoreError('Redis returned an unexpected reply', { retryable: false })
  }

  /** If the server has not cached the script, it is sent in full. */
  async function run<T>(
    reply: z.ZodMiniType<T>,
    tag: string,
    { text, sha1 }: Script,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<T> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await ask(reply, tag, ['EVALSHA', sha1, ...rest])
    } catch (error) {
      if (!(error instanceof RedisError) || error.reply !== 'NOSCRIPT') throw error
      return ask(reply, tag, ['EVAL', text, ...rest])
    }
  }

  async function change(node: string, script: Script, args: readonly string[]): Promise<void> {
    const { tag, keys } = keysOf(node)
    if ((await run(changeReply, tag, script, keys, [node, ...args])) !== 1) throw new ConflictError(node)
  }

  async function read(node: string, known?: Versioned): Promise<Versioned | undefined> {
    const { tag, keys } = keysOf(node)
    if (known && (await client.send(tag, ['HGET', keys[0], 'version'])) === known.version) return known
    const [version, text] = await ask(documentReply, tag, ['HMGET', keys[0], 'version', 'state'])
    return version === null ? undefined : { state: parseDocument(node, text ?? ''), version }
  }

  const shown = (node: string) =>
    read(node).catch((error: unknown) => ({ state: damagedState(node, error), version: '' }))

  // Every tag: in a cluster each may be on another server.
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
    log.warn('Redis is not available yet; retrying', { reason: error.message })
  }

  return {
    read,
    async write(node, { state, entries, expected = '', trimThrough }) {
      const version = randomUUID()
      const lowest = trimThrough > 0 ? `${trimThrough + 1}-0` : ''
      const lines = entries.flatMap((entry) => [`${entry.seq}-0`, JSON.stringify(entry)])
      await change(node, WRITE, [expected, version, JSON.stringify(state), lowest, ...lines])
      return version
    },
    async list({ limit, from = '' }) {
      const range = [`[${from}`, '+', 'LIMIT', '0', String(limit + 1)]
      const shares = TAGS.map((tag) => ask(namesReply, tag, ['ZRANGEBYLEX', indexKey(tag), ...range]))
      const sorted = (await Promise.all(shares)).flat().sort(byBytes)
      const found = await Promise.all(sorted.slice(0, limit).map(shown))
      return { nodes: found.filter((each) => each !== undefined), next: sorted[limit] }
    },
    async versions() {
      const shares = TAGS.map((tag) => run(versionsReply, tag, VERSIONS, [indexKey(tag)], [statePrefix(tag)]))
      return new Map((await Promise.all(shares)).flat().sort(([a], [b]) => byBytes(a, b)))
    },
    async log(node, { after, limit }) {
      const { tag, keys } = keysOf(node)
      const range = [keys[1], String(Math.max(0, after + 1)), '+', 'COUNT', String(limit)]
      const lines = await ask(logReply, tag, ['XRANGE', ...range])
      return parseEntries(
        node,
        lines.map(([, [, text]]) => text),
        log,
      )
    },
    remove: (node, expected = '') => change(node, REMOVE, [expected]),
    ping,
    async close() {
      client.close()
    },
  }
}

import { hash } from 'node:crypto'

/** A script that the server runs as one change, under the name by which it remembers it. */
export type Script = { readonly text: string; readonly sha1: string }

/**
 * KEYS: state, log, index. ARGV: expected version or nothing, node, the lowest id of the log to keep or nothing, how
 * many clocks the document has, how many new lines the log gets, id and entry of each; then fields of the document
 * and their values. Answers 1, or 0 if the version is another.
 *
 * What Redis may refuse for want of memory comes first: it refuses the first write of a script or none.
 */
export const WRITE = script(`
local found = redis.call('HGET', KEYS[1], 'version') or ''
if found ~= ARGV[1] then return 0 end
if ARGV[1] == '' then
  redis.call('ZADD', KEYS[3], 0, ARGV[2])
  redis.call('DEL', KEYS[2])
end
local fields = 6 + 2 * ARGV[5]
for i = 6, fields - 1, 2 do
  redis.call('XADD', KEYS[2], ARGV[i], 'entry', ARGV[i + 1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, fields))
for i = ARGV[4], redis.call('HLEN', KEYS[1]) - 3 do
  redis.call('HDEL', KEYS[1], 'clock:' .. i)
end
if ARGV[3] ~= '' then redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[3]) end
return 1
`)

/** KEYS: state, log, index. ARGV: node, expected version or nothing. Answers 1, or 0 if the version is another. */
export const REMOVE = script(`
local found = redis.call('HGET', KEYS[1], 'version')
if found and ARGV[2] ~= '' and found ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
`)

function script(text: string): Script {
  return { text, sha1: hash('sha1', text) }
}

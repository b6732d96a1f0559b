import { hash } from 'node:crypto'

/** A script that the server runs as one change, under the name by which it remembers it. */
export type Script = { readonly text: string; readonly sha1: string }

/**
 * KEYS: state, log, index. ARGV: node, expected version or nothing where there is no document, new version, document,
 * the lowest id of the log to keep or nothing, then id and entry of each new line. Answers 1, or 0 on a conflict.
 *
 * What Redis may refuse for want of memory comes first: it refuses the first write of a script or none.
 */
export const WRITE = script(`
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

/** KEYS: state, log, index. ARGV: node, expected version or nothing. Answers 1, or 0 if the version is another. */
export const REMOVE = script(`
local found = redis.call('HGET', KEYS[1], 'version')
if found and ARGV[2] ~= '' and found ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
`)

/**
 * KEYS: index. ARGV: what stands before a node's name in the key of its state, which is in the slot of the index.
 * Answers name and version of each node, in order of their bytes: one call a share, where one a node would cost more
 * than all else that looks at a quiet fleet.
 */
export const VERSIONS = script(`
local all = {}
for _, node in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '-', '+')) do
  local version = redis.call('HGET', ARGV[1] .. node, 'version')
  if version then
    all[#all + 1] = node
    all[#all + 1] = version
  end
end
return all
`)

function script(text: string): Script {
  return { text, sha1: hash('sha1', text) }
}

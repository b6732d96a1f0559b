import { hash } from 'node:crypto'

/** A script that the server runs as one change, under the name by which it remembers it. */
export type Script = { readonly text: string; readonly sha1: string }

/**
 * ARGV from the second on, as `valuesOf` makes them: version, head, the lowest id of the log to keep or nothing, how many
 * clocks the document has or nothing where it has no fewer than before, how many new lines the log gets, id and entry of
 * each; then other fields of the document and their values.
 *
 * What Redis may refuse for want of memory comes first: it refuses the first write of a script or none.
 */
const PUT = `
local fields = 7 + 2 * ARGV[6]
for i = 7, fields - 1, 2 do
  redis.call('XADD', KEYS[2], ARGV[i], 'entry', ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'head', ARGV[3], unpack(ARGV, fields))
if ARGV[5] ~= '' then
  for i = ARGV[5], redis.call('HLEN', KEYS[1]) - 4 do
    redis.call('HDEL', KEYS[1], 'clock:' .. i)
  end
end
if ARGV[4] ~= '' then redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[4]) end
return 1
`

/** KEYS: state, log, index. ARGV: node, and those of PUT. Answers 1, or 0 if there is a document. */
export const CREATE = script(`
if redis.call('HGET', KEYS[1], 'version') then return 0 end
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2])
${PUT}`)

/** KEYS: state, log. ARGV: expected version, and those of PUT. Answers 1, or 0 if the version is another. */
export const UPDATE = script(`
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
${PUT}`)

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

import { ErrorReply, MaxCommandRedirectionsError } from '@redis/client'
import { reasonOf, StoreError } from '#shared/errors.ts'

/** Redis is unreachable or replied with an error. */
export class RedisError extends StoreError {
  /** The first word of an error reply (`OOM`, `MOVED`); undefined if there was no reply. */
  readonly reply: string | undefined
  /** Redis answers but will not serve us until its configuration or ours is changed. */
  readonly refused: boolean

  constructor(message: string, options: { reply?: string; refused?: boolean; retryable?: boolean } = {}) {
    const { reply, refused = false, retryable = true } = options
    super(message, { retryable })
    this.reply = reply
    this.refused = refused
  }
}

/**
 * What the error replies mean to an operator; the reply itself is appended. Redis uses a plain `ERR` for a password
 * where none is set, and up to 7.0 for a script without permission.
 */
const MEANINGS: readonly (readonly [RegExp, says: string, 'refused'?])[] = [
  [/^WRONGPASS|^ERR .*\b(AUTH|password)\b/, 'rejects the user name or password', 'refused'],
  [/^NOAUTH/, 'requires a password: set it in STATE_URL or STATE_PASSWORD_FILE', 'refused'],
  [
    /^NOPERM|^ERR The user executing the script can't/,
    'denies this user a command or key that PTP Watch needs (docs/redis.md lists them)',
    'refused',
  ],
  [/^READONLY/, 'is a read-only replica'],
  [/^OOM/, 'is out of memory (maxmemory) and rejects writes'],
  [/^MISCONF/, 'rejects writes because it cannot save to disk'],
  [/^NOREPLICAS/, 'rejects writes because it has too few replicas'],
  [/^LOADING/, 'is still loading its data'],
  [/^BUSY/, 'is busy running a script'],
  [/^MASTERDOWN/, 'is a replica whose master is down'],
  [/^CLUSTERDOWN/, 'belongs to a cluster that is down'],
  [/^TRYAGAIN/, 'is moving the keys to another server'],
  [/^WRONGTYPE/, 'has a key of another type where PTP Watch keeps its state'],
]

/** Describes an error of the Redis client for people; `where` is the server. */
export function redisFailureOf(where: string, error: unknown): RedisError {
  if (error instanceof RedisError) return error
  if (error instanceof MaxCommandRedirectionsError) {
    return new RedisError(`The Redis cluster at ${where} keeps redirecting: ${error.message}`)
  }
  if (error instanceof ErrorReply) {
    const [reply = ''] = error.message.split(' ', 1)
    const [, says, refused] = MEANINGS.find(([words]) => words.test(error.message)) ?? []
    return new RedisError(`Redis at ${where} ${says ?? 'returned an error'}: ${error.message}`, {
      reply,
      refused: refused !== undefined,
      retryable: reply !== 'WRONGTYPE',
    })
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // Node's codes for untrusted certificates: SELF_SIGNED_CERT_IN_CHAIN, ERR_TLS_CERT_ALTNAME_INVALID, …
  const refused = /CERT|SIGNATURE/.test(code)
  const says = refused ? 'presents an untrusted certificate (STATE_CA_FILE)' : 'is unreachable'
  return new RedisError(`Redis at ${where} ${says}: ${reasonOf(error)}`, { refused })
}

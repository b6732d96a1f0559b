import { ErrorReply, MaxCommandRedirectionsError } from '@redis/client'
import { reasonOf, StoreError } from '#shared/errors.ts'

/** Redis cannot be reached, or answers with an error. */
export class RedisError extends StoreError {
  /** The first word of an error reply (`OOM`, `MOVED`), which says its kind; undefined where none came. */
  readonly reply: string | undefined
  /** Redis answers, but will not serve us until somebody changes its configuration or ours. */
  readonly refused: boolean

  constructor(
    message: string,
    options: { reply?: string; refused?: boolean; retryable?: boolean; cause?: unknown } = {},
  ) {
    const { reply, refused = false, ...rest } = options
    super(message, rest)
    this.reply = reply
    this.refused = refused
  }
}

type Meaning = { readonly says: string; readonly refused?: true; readonly hopeless?: true }

const PASSWORD: Meaning = { says: 'rejects the user name or password', refused: true }
const RIGHTS: Meaning = {
  says: 'denies this user a command or key that PTP Watch needs (docs/redis.md lists them)',
  refused: true,
}

/** What is behind the error replies that operators meet. The reply's own words are added to each. */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ['WRONGPASS', PASSWORD],
  ['NOAUTH', { says: 'requires a password: set it in STATE_URL or STATE_PASSWORD_FILE', refused: true }],
  ['NOPERM', RIGHTS],
  ['READONLY', { says: 'is a read-only replica' }],
  ['OOM', { says: 'is out of memory (maxmemory) and rejects writes' }],
  ['MISCONF', { says: 'rejects writes because it cannot save to disk' }],
  ['NOREPLICAS', { says: 'rejects writes because it has too few replicas' }],
  ['LOADING', { says: 'is still loading its data' }],
  ['BUSY', { says: 'is busy running a script' }],
  ['MASTERDOWN', { says: 'is a replica whose master is down' }],
  ['CLUSTERDOWN', { says: 'belongs to a cluster that is down' }],
  ['TRYAGAIN', { says: 'is moving the keys to another server' }],
  ['WRONGTYPE', { says: 'has a key of another type where PTP Watch keeps its state', hopeless: true }],
])

/** Replies that begin with a plain `ERR`: to a password where none is set, and up to 7.0 to a script without rights. */
const WORDINGS: readonly (readonly [RegExp, Meaning])[] = [
  [/^ERR .*\b(AUTH|password)\b/, PASSWORD],
  [/^ERR The user executing the script can't/, RIGHTS],
]

/** What the client of Redis threw, as it is told to people; `where` is the server. */
export function failureOf(where: string, error: unknown): RedisError {
  if (error instanceof RedisError) return error
  if (error instanceof MaxCommandRedirectionsError) {
    return new RedisError(`The Redis cluster at ${where} keeps redirecting: ${error.message}`)
  }
  return error instanceof ErrorReply ? replyFailure(where, error.message) : connectionFailure(where, error)
}

function replyFailure(where: string, text: string): RedisError {
  const [reply = ''] = text.split(' ', 1)
  const meaning = MEANINGS.get(reply) ?? WORDINGS.find(([wording]) => wording.test(text))?.[1]
  return new RedisError(`Redis at ${where} ${meaning?.says ?? 'returned an error'}: ${text}`, {
    reply,
    refused: meaning?.refused ?? false,
    retryable: !meaning?.hopeless,
  })
}

/** That there is no connection, by the reason that the network or TLS gave. */
function connectionFailure(where: string, error: unknown): RedisError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // Node's names for certificates that are not believed: SELF_SIGNED_CERT_IN_CHAIN, ERR_TLS_CERT_ALTNAME_INVALID, …
  const refused = /CERT|SIGNATURE/.test(code)
  const says = refused ? 'presents an untrusted certificate (STATE_CA_FILE)' : 'is unreachable'
  return new RedisError(`Redis at ${where} ${says}: ${reasonOf(error)}`, { refused })
}

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

const PASSWORD: Meaning = { says: 'does not take the user or the password', refused: true }
const RIGHTS: Meaning = {
  says: 'does not let this user do what is needed (docs/redis.md has the rule)',
  refused: true,
}

/** What is behind the error replies that operators meet. The reply's own words are added to each. */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ['WRONGPASS', PASSWORD],
  ['NOAUTH', { says: 'wants a password (in STATE_URL or STATE_PASSWORD_FILE)', refused: true }],
  [
    'NOPERM',
    { says: 'does not let this user do what is needed (docs/redis.md has the rule)', refused: true },
  ],
  ['READONLY', { says: 'is a read-only replica' }],
  ['OOM', { says: 'has no memory left (maxmemory) and takes no writes' }],
  ['MISCONF', { says: 'takes no writes, since it cannot save to its disk' }],
  ['NOREPLICAS', { says: 'takes no writes, since too few replicas follow it' }],
  ['LOADING', { says: 'is still loading its data' }],
  ['BUSY', { says: 'is busy with a script of somebody' }],
  ['MASTERDOWN', { says: 'is a replica whose master is down' }],
  ['CLUSTERDOWN', { says: 'belongs to a cluster that is down' }],
  ['TRYAGAIN', { says: 'is moving the keys to another server' }],
  ['WRONGTYPE', { says: 'holds something else under a key of ours', hopeless: true }],
])

/** Replies that begin with a plain `ERR`: to a password where none is set, and up to 7.0 to a script without rights. */
const WORDINGS: readonly (readonly [RegExp, Meaning])[] = [
  [/^ERR .*\b(AUTH|password)\b/, PASSWORD],
  [/^ERR The user executing the script can't/, RIGHTS],
]

/** An error reply as it is told to people; `where` is the server. */
export function replyFailure(where: string, text: string): RedisError {
  const [reply = ''] = text.split(' ', 1)
  const meaning = MEANINGS.get(reply) ?? WORDINGS.find(([wording]) => wording.test(text))?.[1]
  return new RedisError(`Redis at ${where} ${meaning?.says ?? 'answers with an error'}: ${text}`, {
    reply,
    refused: meaning?.refused ?? false,
    retryable: !meaning?.hopeless,
  })
}

/** That there is no connection, by the reason that the network or TLS gave. */
export function connectionFailure(where: string, error: unknown): RedisError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // Node's names for certificates that are not believed: SELF_SIGNED_CERT_IN_CHAIN, ERR_TLS_CERT_ALTNAME_INVALID, …
  const refused = /CERT|SIGNATURE/.test(code)
  const says = refused ? 'shows a certificate that is not trusted (STATE_CA_FILE)' : 'is out of reach'
  return new RedisError(`Redis at ${where} ${says}: ${reasonOf(error)}`, { refused })
}

import { ConfigurationError } from '#shared/errors.ts'

export type Endpoint = { readonly host: string; readonly port: number }

/** What a state URL says of where Redis is, and as whom. */
export type RedisAddress = {
  readonly tls: boolean
  /** Servers, any of which may be tried; with `master` they are Sentinels. */
  readonly endpoints: readonly Endpoint[]
  /** The name under which the Sentinels know the master. */
  readonly master: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
}

const URL_FORM =
  /^redis(?<tls>s?)(?<sentinel>-sentinel)?:\/\/(?:(?<user>[^@/?#]*)@)?(?<hosts>[^@/?#]+)(?<path>(?:\/[^/?#]*)*)$/

const SERVER_PORT = 6379
const SENTINEL_PORT = 26379

/**
 * Reads `redis[s]://[user[:password]@]host[:port][,…][/database]` and
 * `redis[s]-sentinel://[user[:password]@]host[:port][,…]/master[/database]`.
 * User and password are percent-encoded where they hold `@`, `/`, `:`, `?`, `#` or `%`.
 * @throws ConfigurationError that says what is wrong without showing the URL, which may hold a password.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const { tls, sentinel, user = '', hosts = '', path = '' } = URL_FORM.exec(url)?.groups ?? {}
  if (hosts === '') {
    throw wrong('expected redis://[user:password@]host[:port][,…][/database] without query or fragment')
  }
  const parts = path.split('/').slice(1).map(decoded)
  if (parts.at(-1) === '') parts.pop()
  const master = sentinel === undefined ? undefined : parts.shift()
  if (sentinel !== undefined && !master) {
    throw wrong('a Sentinel URL ends with the name of the master: redis-sentinel://host[:port][,…]/master')
  }
  const [database = '0', ...more] = parts
  if (!/^\d{1,4}$/.test(database) || more.length > 0) {
    throw wrong('what follows the host has to be the number of a database')
  }
  const colon = user.indexOf(':')
  return {
    tls: tls === 's',
    endpoints: hosts.split(',').map((text) => endpointOf(text, master ? SENTINEL_PORT : SERVER_PORT)),
    master,
    username: decoded(colon < 0 ? user : user.slice(0, colon)) || undefined,
    password: colon < 0 ? undefined : decoded(user.slice(colon + 1)) || undefined,
    database: Number(database),
  }
}

/** `host:port`, as people write it. */
export function shown({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function endpointOf(text: string, otherwise: number): Endpoint {
  const [, bracketed, plain, digits = String(otherwise)] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65535) throw wrong('each host is host[:port] or [IPv6][:port]')
  return { host, port }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('a % begins no percent-encoded character; write %25 for the sign itself')
  }
}

function wrong(problem: string): ConfigurationError {
  return new ConfigurationError([`STATE_URL: ${problem}`])
}

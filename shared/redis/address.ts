import { ConfigurationError } from '#shared/errors.ts'

export type Endpoint = { readonly host: string; readonly port: number }

/** Where Redis is and how to log in, from a state URL. */
export type RedisAddress = {
  readonly tls: boolean
  /** Servers, any of which may be tried; with `master`, these are Sentinels. */
  readonly endpoints: readonly Endpoint[]
  /** The name of the master as the Sentinels know it. */
  readonly master: string | undefined
  readonly login: { readonly username?: string; readonly password?: string }
  readonly database: number
}

const URL_FORM =
  /^redis(?<tls>s?)(?<sentinel>-sentinel)?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<secret>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?<path>(?:\/[^/?#]*)*)$/
const HOST_FORM = /^(?:\[(?<bracketed>[0-9a-fA-F:.]+)\]|(?<plain>[^:[\]]+))(?::(?<digits>\d{1,5}))?$/

const SERVER_PORT = 6379
const SENTINEL_PORT = 26379

/**
 * Reads `redis[s]://[user[:password]@]host[:port][,…][/database]` and
 * `redis[s]-sentinel://[user[:password]@]host[:port][,…]/master[/database]`.
 * User and password are percent-encoded where they hold `@`, `/`, `:`, `?`, `#` or `%`.
 * @throws ConfigurationError that says what is wrong without showing the URL, which may hold a password.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const { tls, sentinel, user, secret, hosts = '', path = '' } = URL_FORM.exec(url)?.groups ?? {}
  if (hosts === '') {
    throw wrong('expected redis://[user:password@]host[:port][,…][/database] without query or fragment')
  }
  const [, ...parts] = path.replace(/\/$/, '').split('/')
  const master = sentinel && decoded(parts.shift())
  if (master === '') {
    throw wrong('a Sentinel URL ends with the name of the master: redis-sentinel://host[:port][,…]/master')
  }
  const [database = '0', ...more] = parts
  if (!/^\d{1,4}$/.test(database) || more.length > 0) {
    throw wrong('what follows the host must be a database number')
  }
  const endpoints = hosts.split(',').map((text) => {
    const { bracketed, plain = '', digits } = HOST_FORM.exec(text)?.groups ?? {}
    const host = bracketed ?? plain
    const port = Number(digits ?? (master === undefined ? SERVER_PORT : SENTINEL_PORT))
    if (host === '' || port < 1 || port > 65535) throw wrong('each host is host[:port] or [IPv6][:port]')
    return { host, port }
  })
  const username = decoded(user)
  const password = decoded(secret)
  const login = { ...(username && { username }), ...(password && { password }) }
  return { tls: tls === 's', endpoints, master, login, database: Number(database) }
}

/** `host:port`, as people write it. */
export function shown({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function decoded(text = ''): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('a % is not followed by two hexadecimal digits; write %25 for a literal %')
  }
}

function wrong(problem: string): ConfigurationError {
  return new ConfigurationError([`STATE_URL: ${problem}`])
}

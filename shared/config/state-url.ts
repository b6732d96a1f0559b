/** The schemes of STATE_URL: the form shown to people, and a pattern for what follows the scheme. */
const SCHEMES = {
  sqlite: { form: 'sqlite:<file>', rest: /^(.+)$/ },
  memory: { form: 'memory:', rest: /^()$/ },
  // A DNS label (RFC 1123), like every namespace, or nothing.
  configmap: { form: 'configmap://<namespace>', rest: /^\/\/((?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?)$/ },
  // The driver reads the rest, and explains problems better than a pattern could.
  redis: { form: 'redis://<host>', rest: /^\/\/(.+)$/ },
  rediss: { form: 'rediss://<host>', rest: /^\/\/(.+)$/ },
  'redis-sentinel': { form: 'redis-sentinel://<host>/<master>', rest: /^\/\/(.+)$/ },
  'rediss-sentinel': { form: 'rediss-sentinel://<host>/<master>', rest: /^\/\/(.+)$/ },
} as const

type StateScheme = keyof typeof SCHEMES

/** The forms of a state URL, for messages and help. */
export const STATE_URL_FORMS: readonly string[] = Object.values(SCHEMES).map(({ form }) => form)

/** Scheme and rest (a file, a namespace, a host) of a state URL; undefined if it has none of the known forms. */
export function readStateUrl(url: string): { scheme: StateScheme; rest: string } | undefined {
  const [, scheme = '', after = ''] = /^([a-z-]+):(.*)$/s.exec(url) ?? []
  if (!isScheme(scheme)) return undefined
  const [, rest] = SCHEMES[scheme].rest.exec(after) ?? []
  return rest === undefined ? undefined : { scheme, rest }
}

function isScheme(scheme: string): scheme is StateScheme {
  return Object.hasOwn(SCHEMES, scheme)
}

/** A state URL without credentials, and without a query, where some people put them. */
export function shownStateUrl(url: string): string {
  return url.replace(/\/\/.*@/, '//…@').replace(/\?.*$/, '')
}

const URL_IN_TEXT = /https?:\/\/[^\s"'<>\\]+/g

/** Long runs of mixed letters and digits: tokens look like this, node names do not. */
const SECRET_LOOKING = /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[\w-]{20,}={0,2}$/

/**
 * Redacts a text for logs, errors and documents: in every URL, credentials, the query and anything that is or looks
 * like a token become `***`. In a callback URL the token is what follows `/event/<node>` or `/cloudevents`.
 */
export function redact(text: string): string {
  return text.replace(URL_IN_TEXT, redactUrl)
}

function redactUrl(url: string): string {
  const [, origin = '', rest = ''] = /^(https?:\/\/[^/?#]*)(.*)$/.exec(url) ?? []
  const [path = ''] = rest.split(/[?#]/)
  const tail = path.length < rest.length ? '?***' : ''
  return `${origin.replace(/\/\/.*@/, '//***@')}${redactPath(path)}${tail}`
}

function redactPath(path: string): string {
  const segments = path.split('/')
  const first = firstSecret(segments)
  return segments
    .map((segment, index) =>
      segment !== '' && (index >= first || SECRET_LOOKING.test(segment)) ? '***' : segment,
    )
    .join('/')
}

function firstSecret(segments: readonly string[]): number {
  const event = segments.lastIndexOf('event')
  if (event !== -1) return event + 2
  const broker = segments.lastIndexOf('cloudevents')
  return broker === -1 ? segments.length : broker + 1
}

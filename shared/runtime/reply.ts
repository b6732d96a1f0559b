import { PtpWatchError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'

/** Header names in lower case, as node:http has them. */
export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** A request without its body. */
export type HttpHead = {
  readonly method: string
  /** As sent, still percent-encoded and without the query; see {@link pathSegments}. */
  readonly path: string
  /** As sent, without the `?`; see `new URLSearchParams`. */
  readonly query: string
  readonly headers: HttpHeaders
  /**
   * Aborted when the host begins to drain, so that long work can end early. Short work need not look at it: the host
   * waits for requests in flight. All requests share it, so remove your listeners.
   */
  readonly signal: AbortSignal
}

/** A request with its complete body, within the host's limit. */
export type HttpRequest = HttpHead & { readonly body: Uint8Array }

/** 202 and 204 never have a body: a Broker would try to read an event from it. */
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Instead of a large body: produced as fast as the client reads. If it throws, the connection breaks. */
  readonly stream?: AsyncIterable<string | Uint8Array>
}

/** A function that can be hosted over HTTP. Whatever it throws becomes a reply by {@link replyOf}. */
export type HttpFunction = (request: HttpRequest) => Promise<Reply> | Reply

/** Refuses a request whatever its body, which our server then does not read. Undefined: admitted. */
export type Admit = (head: HttpHead) => Reply | undefined

export const NO_CONTENT: Reply = Object.freeze({ status: 204 })
export const ACCEPTED: Reply = Object.freeze({ status: 202 })

const JSON_HEADERS = Object.freeze({ 'content-type': 'application/json' })

/** An error that becomes a reply with this status. `headers` are added to the reply. */
export class HttpError extends PtpWatchError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(code, message, { retryable: status >= 500 })
    this.status = status
    this.headers = headers
  }
}

/** A reply with a JSON body. */
export function jsonReply(status: number, value: unknown, headers?: Readonly<Record<string, string>>): Reply {
  return { status, headers: { ...JSON_HEADERS, ...headers }, body: `${JSON.stringify(value)}\n` }
}

/** `{"error":{"code","message"}}`, the body of every 4xx and 5xx. `message` is one line for people. */
export function errorReply(
  status: number,
  code: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
): Reply {
  return jsonReply(status, { error: { code, message } }, headers)
}

/** 404. The path is not repeated: it may hold a callback token. */
export function notFound(message = 'There is nothing at this path'): Reply {
  return errorReply(404, 'not-found', message)
}

/** 405 with `Allow`. */
export function methodNotAllowed(allow: readonly string[]): Reply {
  return errorReply(405, 'method-not-allowed', `Only ${allow.join(', ')} is served here`, {
    allow: allow.join(', '),
  })
}

/** 413 for a body above `limit` bytes. */
export function tooLarge(limit: number): Reply {
  return errorReply(413, 'too-large', `The body is larger than ${limit} bytes`)
}

/**
 * The reply for anything thrown: the one place where errors become statuses. If a retry may help it is 503, else 4xx
 * or 500. An error that is not ours might contain anything, so it goes to the log and not to the client.
 */
export function replyOf(error: unknown, log: Log): Reply {
  if (error instanceof HttpError) return errorReply(error.status, error.code, error.message, error.headers)
  if (!(error instanceof PtpWatchError)) {
    const stack = error instanceof Error ? error.stack : undefined
    log.error('a request failed', { reason: reasonOf(error), stack })
    return errorReply(500, 'internal', 'The function failed')
  }
  return errorReply(STATUS_OF_CODE[error.code] ?? (error.retryable ? 503 : 500), error.code, error.message)
}

const STATUS_OF_CODE: Readonly<Record<string, number>> = { store: 503, conflict: 503 }

/**
 * Refuses unknown and repeated query parameters: ignoring a misspelt one would do something other than what was
 * asked.
 * @throws HttpError 400
 */
export function checkQuery(
  query: URLSearchParams,
  allowed: readonly string[] = [],
  repeated: readonly string[] = [],
): void {
  for (const name of new Set(query.keys())) {
    const problem = !allowed.includes(name)
      ? `there is no query parameter ${JSON.stringify(name.slice(0, 40))} here; there ${allowed.length === 0 ? 'is none' : `are ${allowed.join(', ')}`}`
      : query.getAll(name).length > 1 && !repeated.includes(name)
        ? `${name} may be given once`
        : undefined
    if (problem !== undefined) throw new HttpError(400, 'query', problem)
  }
}

/**
 * The segments of a path, percent-decoded: `/event/a%2Fb` gives `['event', 'a/b']`, `/` gives `[]`. Undefined if it
 * is not validly encoded or does not begin with a slash.
 */
export function pathSegments(path: string): string[] | undefined {
  if (!path.startsWith('/')) return undefined
  if (path === '/') return []
  const segments = path.slice(1).split('/')
  if (!path.includes('%')) return segments
  try {
    return segments.map(decodeURIComponent)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

import { errors } from 'undici'
import { PublisherError } from '#shared/errors.ts'
import { redact } from '#shared/redact.ts'

/** A request, for error messages: `what` is its method and URL, redacted. */
export type Attempted = { readonly what: string; readonly url: string }

/** Computed on demand: nearly no request needs it. */
export function attemptedOf(method: string, url: string): Attempted {
  return {
    get what() {
      return `${method} ${this.url}`
    },
    get url() {
      return redact(url)
    },
  }
}

/**
 * Converts an error of undici, a socket, DNS or TLS: `timeout`, `body` for a body that is too large, else
 * `unreachable`, with the cause. An error without a network code is a bug of ours and is returned as it is.
 */
export function failureOf(error: unknown, attempted: Attempted): unknown {
  const code = networkCodeOf(error)
  // Ours is the reason that the request was aborted with.
  if (code === undefined || error instanceof PublisherError) return error
  const { what, url } = attempted
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new PublisherError('body', `${what} answered with a body over the size limit`, {
      url,
      cause: error,
    })
  }
  const kind = code.includes('TIMEOUT') || code === 'ETIMEDOUT' ? 'timeout' : 'unreachable'
  return new PublisherError(kind, `${what} got no answer`, { url, retryable: true, cause: error })
}

/**
 * The connection ended before the answer was complete: for example, a kept-alive one was closed just as it was
 * reused.
 */
export function isCutOff(error: unknown): boolean {
  const code = networkCodeOf(error)
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
}

/** Network errors (sockets, DNS, TLS) carry a code; errors without one, or for misuse of undici, are bugs of ours. */
export function networkCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof errors.HTTPParserError) return 'NO_HTTP'
  if (error instanceof AggregateError) {
    const code = error.errors.map(networkCodeOf).find((one) => one !== undefined)
    if (code !== undefined) return code
  }
  if (!('code' in error) || typeof error.code !== 'string') return undefined
  return error.code === 'UND_ERR_INVALID_ARG' ? undefined : error.code
}

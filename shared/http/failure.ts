import { errors } from 'undici'
import { PublisherError } from '#shared/errors.ts'
import { redact } from '#shared/redact.ts'

/** A request, for messages: `what` is its method and `url`, redacted. */
export type Attempted = { readonly what: string; readonly url: string }

/** Nearly all requests need no message: it is made when it is asked for. */
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
 * What undici, a socket, DNS or TLS threw, as one of ours: `timeout`, `body` for a body that is too large, else
 * `unreachable`, with the cause. An error without the code of a network is a bug of ours, and stays.
 */
export function failureOf(error: unknown, attempted: Attempted): unknown {
  const code = networkCodeOf(error)
  // Ours is the reason that a request was aborted with.
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

/** The connection ended before the answer was complete: for example, a kept one was closed just as it was reused. */
export function isCutOff(error: unknown): boolean {
  const code = networkCodeOf(error)
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
}

/** Errors of sockets, DNS and TLS carry a code; those without one, or for misuse of undici, are bugs of ours. */
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

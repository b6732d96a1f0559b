import { errors } from 'undici'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import { redact } from '#shared/redact.ts'

/** What a request was, for messages: `what` is its method and `url`, both redacted. */
export type Attempted = { readonly what: string; readonly url: string }

/**
 * What undici, a socket, DNS or TLS threw, as one of ours: `timeout`, `body` for a body that is too large, else
 * `unreachable`, with the cause. An error without the code of a network is a bug of ours, and stays.
 */
export function failureOf(error: unknown, { what, url }: Attempted): unknown {
  const code = networkCodeOf(error)
  if (code === undefined) return error
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
    return new PublisherError('body', `${what} was answered with too large a body`, { url, cause: error })
  }
  const kind = code.includes('TIMEOUT') || code === 'ETIMEDOUT' ? 'timeout' : 'unreachable'
  return new PublisherError(kind, `${what} got no answer`, { url, retryable: true, cause: error })
}

/** The failure of a request that ended at its deadline, or because its caller gave it up. */
export function givenUp({ what, url }: Attempted, reason: unknown): PublisherError {
  return new PublisherError('timeout', `${what} was given up: ${redact(reasonOf(reason))}`, {
    url,
    retryable: true,
  })
}

/** A connection that ended before the answer was complete, as a kept one does that was closed just as it was used. */
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

import { type Dispatcher, errors } from 'undici'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import { redact } from './redact.ts'

export type HttpMethod = 'GET' | 'POST' | 'DELETE'

export type Exchange = {
  /** Scheme, host and port. */
  readonly origin: string
  /** Sent as it is: `/./` and `//` in it survive, which `new URL` would fold (starlingx.md). */
  readonly path: string
  readonly method: HttpMethod
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Milliseconds until the answer must be complete. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

export type Answer = {
  /** What was asked, redacted, for messages. */
  readonly url: string
  readonly status: number
  /** The exact text of the body. */
  readonly body: string
  /** Our time just before the request went out and just after the body was complete, RFC 3339. */
  readonly sentAt: string
  readonly receivedAt: string
}

/** 1 MiB: many times what a publisher with hundreds of clocks answers. */
const BODY_LIMIT = 1024 * 1024

/**
 * One request and its complete answer, whatever its status. Redirects are answers like any other.
 * @throws PublisherError `timeout` at the deadline or when `signal` is aborted, `unreachable` when no answer came,
 * `body` when it is above 1 MiB.
 */
export async function exchange(dispatcher: Dispatcher, request: Exchange, clock: Clock): Promise<Answer> {
  const { origin, path, method, headers, body, deadlineMs, signal } = request
  const url = redact(`${origin}${path}`)
  const controller = new AbortController()
  const abort = () => controller.abort(signal?.reason)
  const timer = setTimeout(
    () => controller.abort(new Error(`no complete answer in ${deadlineMs} ms`)),
    deadlineMs,
  )
  signal?.addEventListener('abort', abort, { once: true })
  try {
    if (signal?.aborted) abort()
    const sentAt = isoTime(clock.now())
    const answer = await dispatcher.request({
      origin,
      path,
      method,
      headers,
      body: body ?? null,
      signal: controller.signal,
      // One deadline covers all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const text = await readBody(answer.body, url)
    return {
      url,
      status: answer.statusCode,
      body: text,
      sentAt,
      receivedAt: isoTime(clock.now()),
    }
  } catch (error) {
    if (error instanceof PublisherError) throw error
    const what = `${method} ${url}`
    if (controller.signal.aborted) {
      const reason = redact(reasonOf(controller.signal.reason))
      throw new PublisherError('timeout', `${what} was given up: ${reason}`, { url, retryable: true })
    }
    const code = networkCodeOf(error)
    if (code === undefined) throw error
    const kind = code.includes('TIMEOUT') || code === 'ETIMEDOUT' ? 'timeout' : 'unreachable'
    throw new PublisherError(kind, `${what} got no answer`, { url, retryable: true, cause: error })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** Errors of sockets, DNS and TLS carry a `code`; what has none, or says that we misused undici, is our own bug. */
export function networkCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof errors.HTTPParserError) return 'NO_HTTP'
  if (error instanceof AggregateError) {
    for (const inner of error.errors) {
      const code = networkCodeOf(inner)
      if (code !== undefined) return code
    }
  }
  if (!('code' in error) || typeof error.code !== 'string') return undefined
  return error.code === 'UND_ERR_INVALID_ARG' ? undefined : error.code
}

async function readBody(body: Dispatcher.ResponseData['body'], url: string): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('undici gives buffers')
    length += chunk.length
    // Leaving the loop destroys the stream and with it the connection.
    if (length > BODY_LIMIT) {
      throw new PublisherError('body', `${url} answered with more than ${BODY_LIMIT} bytes`, { url })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

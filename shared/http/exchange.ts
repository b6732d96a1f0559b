import { type Dispatcher, errors } from 'undici'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import { redact } from '#shared/redact.ts'

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
  url(): string
  readonly status: number
  /** The exact text of the body. */
  readonly body: string
  /** Our time just before the request went out and just after the body was complete, RFC 3339. */
  readonly sentAt: string
  readonly receivedAt: string
  /** The `Date` that it came with, by the clock of whoever answered; undefined where there was none. */
  readonly date?: string | undefined
}

/** 1 MiB: many times what a publisher with hundreds of clocks answers. */
const BODY_LIMIT = 1024 * 1024

/**
 * One request and its complete answer, whatever its status. Redirects are answers like any other.
 *
 * It stands on undici's `dispatch`: a stream and an AbortController for each of thousands of small answers took a
 * fifth of what a poll takes (docs/contributing/performance.md).
 * @throws PublisherError `timeout` at the deadline or when `signal` is aborted, `unreachable` when no answer came,
 * `body` when it is above 1 MiB.
 */
export function exchange(dispatcher: Dispatcher, request: Exchange, clock: Clock): Promise<Answer> {
  const { origin, path, method, headers, body = null, deadlineMs, signal } = request
  const url = () => redact(`${origin}${path}`)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let status = 0
    let date: string | undefined
    let controller: Dispatcher.DispatchController | undefined
    let reason: PublisherError | undefined
    let unheard: (() => void) | undefined

    const settled = () => {
      clearTimeout(timer)
      unheard?.()
    }
    const giveUp = (error: PublisherError) => {
      reason = error
      settled()
      reject(error)
      controller?.abort(error)
    }
    const giveUpFor = (why: unknown) => {
      const message = `${method} ${url()} was given up: ${redact(reasonOf(why))}`
      giveUp(new PublisherError('timeout', message, { url: url(), retryable: true }))
    }
    const fail = (error: unknown) => {
      settled()
      reject(failureOf(error, `${method} ${url()}`, url()))
    }
    const onAbort = () => giveUpFor(signal?.reason)
    const timer = setTimeout(() => giveUpFor(new Error(`no complete answer in ${deadlineMs} ms`)), deadlineMs)
    if (signal?.aborted) return onAbort()
    unheard = signal && onceAborted(signal, onAbort)

    const sentAt = isoTime(clock.now())
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        if (reason !== undefined) started.abort(reason)
      },
      onResponseStart(_, code, headers) {
        status = code
        if (typeof headers.date === 'string') date = headers.date
      },
      onResponseData(_, chunk) {
        length += chunk.length
        if (length <= BODY_LIMIT) return void chunks.push(chunk)
        const message = `${url()} answered with more than ${BODY_LIMIT} bytes`
        giveUp(new PublisherError('body', message, { url: url() }))
      },
      onResponseEnd() {
        settled()
        const receivedAt = isoTime(clock.now())
        const [first] = chunks
        const whole = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
        resolve({ url, status, body: whole.toString('utf8'), sentAt, receivedAt, date })
      },
      onResponseError(_, error) {
        if (reason === undefined) fail(error)
      },
    }
    try {
      // One deadline covers all of it.
      const timeouts = { headersTimeout: 0, bodyTimeout: 0 }
      dispatcher.dispatch({ origin, path, method, headers, body, ...timeouts }, handler)
    } catch (error) {
      fail(error)
    }
  })
}

/** By signal: what is to run when it is aborted. */
const heard = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Runs `run` when the signal is aborted, until it is told not to by what this returns. A signal has one listener of
 * ours, whatever is under way: adding and removing one for each request is dear.
 */
function onceAborted(signal: AbortSignal, run: () => void): () => void {
  let runs = heard.get(signal)
  if (runs === undefined) {
    const all = new Set<() => void>()
    signal.addEventListener('abort', () => runAll(all), { once: true })
    heard.set(signal, all)
    runs = all
  }
  const added = runs.add(run)
  return () => void added.delete(run)
}

function runAll(all: ReadonlySet<() => void>): void {
  for (const run of all) run()
}

/** What undici or the network says, as one of ours; what has no code of a network is our own bug, and stays. */
function failureOf(error: unknown, what: string, url: string): unknown {
  const code = networkCodeOf(error)
  if (code === undefined) return error
  const kind = code.includes('TIMEOUT') || code === 'ETIMEDOUT' ? 'timeout' : 'unreachable'
  return new PublisherError(kind, `${what} got no answer`, { url, retryable: true, cause: error })
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

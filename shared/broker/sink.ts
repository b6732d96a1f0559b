import type { Config } from '#shared/config/index.ts'
import { createCredentials, trustedBeside } from '#shared/credentials.ts'
import { reasonOf } from '#shared/errors.ts'
import { createHttp } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'
import type { OutgoingEvent } from './event.ts'

/** The sink's answer to an event. */
export type Sent =
  | { readonly outcome: 'accepted' }
  /** The sink will never accept it: skip it. */
  | { readonly outcome: 'rejected'; readonly reason: string }
  /** A later attempt may succeed. `afterMs`: not before that, by the sink's Retry-After. */
  | { readonly outcome: 'failed'; readonly reason: string; readonly afterMs?: number }

export type Sink = ReturnType<typeof createSink>

/**
 * `url` is K_SINK, `overrides` the extensions of K_CE_OVERRIDES; `ca` is trusted in addition to Node.js's
 * authorities.
 */
export type SinkOptions = Config['sink'] & {
  readonly url: string
  readonly clock: Clock
  readonly log: Log
  /** The time limit of one attempt. Milliseconds. */
  readonly timeoutMs?: number
}

/** How many events, of different nodes, may be in flight at once. */
export const CONCURRENCY = 32
/** Milliseconds: some sinks need 5 s or more for an event. */
const TIMEOUT = 10_000
/** The longest Retry-After that is respected. Milliseconds. */
const LONGEST_WAIT = 60_000
/** How much of an answer is shown. Characters. */
const SHOWN = 200

/**
 * 4xx statuses that may succeed on retry: 404, 408, 409, 425 and 429 by the Knative delivery contract; 401, 403 and
 * 407 because they are about our access and not about the event.
 */
const RETRYABLE: ReadonlySet<number> = new Set([401, 403, 404, 407, 408, 409, 425, 429])

/** Posts events to K_SINK in structured mode, the only one that keeps every attribute whole. */
export function createSink(options: SinkOptions) {
  const { url, overrides, ca, tokenFile, clock, log, timeoutMs = TIMEOUT } = options
  const { origin, pathname, search } = new URL(url)
  const credentials = createCredentials(
    { token: tokenFile },
    { clock, log },
    { whom: 'the sink', values: trustedBeside(ca), optional: true },
  )
  const http = createHttp({ clock, log }, { credentials, connections: CONCURRENCY, deadlineMs: timeoutMs })
  const request = {
    method: 'POST',
    path: `${pathname}${search}`,
    headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' },
    statusOnly: true,
  } as const

  return {
    /** One attempt, or two if the first got 401 and the token has changed since. Never throws. */
    async send(event: OutgoingEvent, signal: AbortSignal): Promise<Sent> {
      const body = JSON.stringify({ ...event, ...overrides })
      try {
        const answer = await http.request(origin, { ...request, body }, { signal })
        const { status, retryAfterMs } = answer
        if (status >= 200 && status < 300) return { outcome: 'accepted' }
        const shown = answer.body.slice(0, SHOWN).trim()
        const reason = `the sink answered ${status}${shown === '' ? '' : `: ${shown}`}`
        if (status >= 400 && status < 500 && !RETRYABLE.has(status)) return { outcome: 'rejected', reason }
        if (retryAfterMs === undefined) return { outcome: 'failed', reason }
        return { outcome: 'failed', reason, afterMs: Math.min(retryAfterMs, LONGEST_WAIT) }
      } catch (error) {
        return { outcome: 'failed', reason: reasonOf(error) }
      }
    },
    close: () => http.close(),
  }
}

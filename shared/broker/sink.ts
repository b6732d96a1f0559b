import { rootCertificates } from 'node:tls'
import { Agent, type Dispatcher, request } from 'undici'
import { reasonOf } from '#shared/errors.ts'
import type { Clock } from '#shared/time.ts'
import type { OutgoingEvent } from './event.ts'

/** What became of an event at the sink. */
export type Sent =
  | { readonly outcome: 'taken' }
  /** The sink will never take it: it is set aside, not tried again. */
  | { readonly outcome: 'poison'; readonly reason: string }
  /** A later try may succeed. `afterMs`: not before that, as the sink asked for. */
  | { readonly outcome: 'failed'; readonly reason: string; readonly afterMs?: number }

export type Sink = {
  /** One try (with a 401, two: the second with a token read anew). Never throws. */
  send(event: OutgoingEvent, signal: AbortSignal): Promise<Sent>
  close(): Promise<void>
}

export type SinkOptions = {
  /** K_SINK. */
  readonly url: string
  /** Extensions of K_CE_OVERRIDES. */
  readonly overrides: Readonly<Record<string, string>>
  /** PEM of K_CA_CERTS, trusted beside the authorities that Node trusts. */
  readonly ca?: string | undefined
  /** The OIDC token for the sink, read anew with `fresh`; undefined where there is none. */
  readonly token: (options: { fresh: boolean }) => Promise<string | undefined>
  readonly clock: Clock
  /** How many events may be under way at once. */
  readonly connections: number
  /** How long one try may take, in milliseconds. */
  readonly timeoutMs?: number
}

/** A sink that is slow to take an event (5 s and more) is still one that takes it. Milliseconds. */
const TIMEOUT = 10_000
/** The longest that a sink's Retry-After is heeded for, in milliseconds. */
const LONGEST_WAIT = 60_000
/** How much of an answer is looked at: it may be of any length. Characters. */
const ANSWER = 200

/**
 * The answers of 4xx that a repetition can cure: 404, 408, 409 and 429 of the Knative delivery contract, and those
 * that speak of our access (401, 403, 407) and not of the event, which is sent once the access is mended.
 */
const CURABLE: ReadonlySet<number> = new Set([401, 403, 404, 407, 408, 409, 425, 429])

/** Posts events in structured mode, the only one that keeps every attribute whole, to K_SINK. */
export function createSink(options: SinkOptions): Sink {
  const { url, overrides, ca, token, clock, connections, timeoutMs = TIMEOUT } = options
  const trusted = ca === undefined ? {} : { connect: { ca: [...rootCertificates, ca] } }
  const agent = new Agent({ connections, ...trusted })

  const post = async (body: string, ended: AbortSignal, fresh: boolean) => {
    const bearer = await token({ fresh })
    const response = await request(url, {
      method: 'POST',
      dispatcher: agent,
      headers: {
        'content-type': 'application/cloudevents+json; charset=utf-8',
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      body,
      signal: AbortSignal.any([ended, AbortSignal.timeout(timeoutMs)]),
    })
    const status = response.statusCode
    const text = await beginningOf(response.body)
    return { status, text, retryAfter: response.headers['retry-after'] }
  }

  return {
    async send(event, signal) {
      const body = JSON.stringify({ ...event, ...overrides })
      try {
        let answer = await post(body, signal, false)
        if (answer.status === 401) answer = await post(body, signal, true)
        const { status, retryAfter, text } = answer
        if (status >= 200 && status < 300) return { outcome: 'taken' }
        const reason = `the sink answered ${status}${text === '' ? '' : `: ${text}`}`
        if (status >= 400 && status < 500 && !CURABLE.has(status)) return { outcome: 'poison', reason }
        const afterMs = waitOf(retryAfter, clock.now())
        return { outcome: 'failed', reason, ...(afterMs === undefined ? {} : { afterMs }) }
      } catch (error) {
        return { outcome: 'failed', reason: `the sink did not answer: ${reasonOf(error)}` }
      }
    },
    close: () => agent.destroy(),
  }
}

/** What an answer begins with. A body that breaks off, or never ends, takes nothing from its status. */
async function beginningOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  let text = ''
  try {
    for await (const chunk of body.setEncoding('utf8')) {
      text += String(chunk)
      if (text.length > ANSWER) break
    }
  } catch {
    // Nothing depends on it.
  }
  return text.slice(0, ANSWER).trim()
}

/** Milliseconds of a Retry-After, in seconds or as a date (RFC 9110 §10.2.3). */
function waitOf(header: string | string[] | undefined, now: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), LONGEST_WAIT)
}

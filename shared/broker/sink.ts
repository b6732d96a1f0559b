import { Agent, request } from 'undici'
import { reasonOf } from '#shared/errors.ts'
import type { OutgoingEvent } from './event.ts'

/** What became of an event at the sink. */
export type Sent =
  | { readonly outcome: 'taken' }
  /** The sink will never take it: it is set aside, not tried again. */
  | { readonly outcome: 'poison'; readonly reason: string }
  /** A later try may succeed. `afterMs`: not before that, as the sink asked for. */
  | { readonly outcome: 'failed'; readonly reason: string; readonly afterMs?: number }

export type Sink = {
  /** One try. Never throws. */
  send(event: OutgoingEvent): Promise<Sent>
  close(): Promise<void>
}

export type SinkOptions = {
  /** K_SINK. */
  readonly url: string
  /** Extensions of K_CE_OVERRIDES; they never replace what an event says of itself. */
  readonly overrides: Readonly<Record<string, string>>
  /** PEM of K_CA_CERTS. */
  readonly ca?: string | undefined
  /** The OIDC token for the sink, read anew with `fresh`; undefined where there is none. */
  readonly token: (options: { fresh: boolean }) => Promise<string | undefined>
  /** How long one try may take, in milliseconds. */
  readonly timeoutMs?: number
}

/**
 * What no repetition can cure (Knative data plane, knative.md §1.1). 401 and 403 are not among them: there the
 * fault is not the event's, and it is sent once the access is mended.
 */
const POISON: ReadonlySet<number> = new Set([400, 405, 406, 411, 413, 414, 415, 422, 431])

const LONGEST_WAIT = 60_000

/** Posts events in structured mode, the only one that keeps every attribute whole, to K_SINK. */
export function createSink({ url, overrides, ca, token, timeoutMs = 10_000 }: SinkOptions): Sink {
  const agent = new Agent({ connections: 4, ...(ca === undefined ? {} : { connect: { ca } }) })

  const post = async (body: string, fresh: boolean) => {
    const bearer = await token({ fresh })
    const response = await request(url, {
      method: 'POST',
      dispatcher: agent,
      headers: {
        'content-type': 'application/cloudevents+json; charset=utf-8',
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = (await response.body.text()).slice(0, 200)
    return { status: response.statusCode, retryAfter: response.headers['retry-after'], text }
  }

  return {
    async send(event) {
      const body = JSON.stringify({ ...overrides, ...event })
      try {
        let answer = await post(body, false)
        if (answer.status === 401) answer = await post(body, true)
        const { status, retryAfter, text } = answer
        if (status >= 200 && status < 300) return { outcome: 'taken' }
        const reason = `the sink answered ${status}${text === '' ? '' : `: ${text}`}`
        if (POISON.has(status)) return { outcome: 'poison', reason }
        const afterMs = waitOf(retryAfter)
        return { outcome: 'failed', reason, ...(afterMs === undefined ? {} : { afterMs }) }
      } catch (error) {
        return { outcome: 'failed', reason: `the sink cannot be reached: ${reasonOf(error)}` }
      }
    },
    close: () => agent.close(),
  }
}

/** Milliseconds of a Retry-After in seconds; dates are rare enough to be taken for "a while". */
function waitOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined
  const seconds = Number(header)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, LONGEST_WAIT) : 5_000
}

import type { IncomingHttpHeaders } from 'node:http'
import { modeOf, readEvent } from './event.ts'
import type { CloudEvent } from './event.ts'

/**
 * What a Broker of Knative Eventing makes of a subscriber's answers: specs/eventing/data-plane.md of knative/specs, and
 * how the multi-tenant Broker does it (its filter makes 502 of a success with a body that is no event).
 */
export type Verdict =
  | { readonly kind: 'delivered' }
  /** The answer is an event, which goes back into the Broker. */
  | { readonly kind: 'reply'; readonly event: CloudEvent }
  | { readonly kind: 'again'; readonly code: number }
  /** Never tried again: to the dead letter sink at once. */
  | { readonly kind: 'refused'; readonly code: number }

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }

/** Of 4xx those that a repetition may cure. */
const CURABLE: ReadonlySet<number> = new Set([404, 408, 409, 429])

export function judge({ status, headers, body }: Answer): Verdict {
  if (status >= 500 || CURABLE.has(status)) return { kind: 'again', code: status }
  if (status < 200 || status >= 300) return { kind: 'refused', code: status }
  if (modeOf(headers) === undefined) {
    return body.length === 0 ? { kind: 'delivered' } : { kind: 'again', code: 502 }
  }
  const event = readEvent(headers, body)
  if (event === undefined) return { kind: 'again', code: 502 }
  // What comes with a 202 is not to be routed on.
  return status === 200 ? { kind: 'reply', event } : { kind: 'delivered' }
}

/** `spec.delivery` of a Broker or Trigger. */
export type Delivery = {
  readonly retry: number
  readonly backoffPolicy: 'exponential' | 'linear'
  readonly backoffDelay: string
  readonly timeout: string
  readonly deadLetterSink: { readonly ref: { readonly name: string } }
}

/** Milliseconds between a try and the next; `tries`: how many there were before the one that has just failed. */
export function pauseAfter(tries: number, { backoffPolicy, backoffDelay }: Delivery): number {
  const delay = milliseconds(backoffDelay)
  return backoffPolicy === 'exponential' ? delay * 2 ** tries : delay * tries
}

/** Of an ISO 8601 duration in seconds, the form that our manifests have. */
export function milliseconds(duration: string): number {
  const seconds = /^PT(\d+(?:\.\d+)?)S$/.exec(duration)?.[1]
  if (seconds === undefined) throw new Error(`${duration} is no duration in seconds`)
  return Number(seconds) * 1000
}

/** Why an event was not delivered, as its dead letter tells: the answer's body in base64, cut. */
export function deadLetter(
  { attributes, data }: CloudEvent,
  why: { readonly destination: string; readonly code: number; readonly body: Buffer },
): CloudEvent {
  return {
    attributes: {
      ...attributes,
      knativeerrordest: why.destination,
      knativeerrorcode: String(why.code),
      knativeerrordata: why.body.toString('base64').slice(0, LONGEST_DATA),
    },
    data,
  }
}

/** Characters of base64. */
const LONGEST_DATA = 1024

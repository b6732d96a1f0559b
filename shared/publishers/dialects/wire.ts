import * as z from 'zod/mini'
import { PublisherError } from '#shared/errors.ts'
import type { HeldSubscription } from './client.ts'
import type { Answer } from '#shared/http/exchange.ts'
import { redact } from '#shared/redact.ts'

const text = z.optional(z.nullable(z.string()))

/**
 * A subscription (or publisher) as any release writes it: v2's names, v1's, and 4.18's lists that mix both
 * (protocol.md §2.2, §3.1).
 */
const subscription = z.object({
  SubscriptionId: text,
  id: text,
  ResourceAddress: text,
  resource: text,
  EndpointUri: text,
  endpointUri: text,
  UriLocation: text,
  uriLocation: text,
})

const list = z.nullable(z.array(subscription))

function heldOf(wire: z.infer<typeof subscription>): HeldSubscription {
  return {
    id: wire.SubscriptionId ?? wire.id ?? '',
    address: wire.ResourceAddress ?? wire.resource ?? '',
    endpoint: wire.EndpointUri ?? wire.endpointUri ?? '',
    location: wire.UriLocation ?? wire.uriLocation ?? '',
  }
}

/** Characters; a page of HTML says no more in more. */
const LONGEST_MESSAGE = 400

const v1Error = z.object({ error: z.string() })
const inner = z.object({ message: z.string() })
const fault = z.object({ faultstring: z.string() })

/** A list of subscriptions or publishers: an array, `null`, or nothing at all where there are none. */
export function readList(answer: Answer): readonly HeldSubscription[] {
  if (answer.body.trim() === '') return []
  return read(list, answer)?.map(heldOf) ?? []
}

/** The object that a create or a GET by id answers with. */
export function readSubscription(answer: Answer): HeldSubscription {
  const held = heldOf(read(subscription, answer))
  if (held.id === '') throw misread(answer, 'a subscription without an id')
  return held
}

/**
 * The message of an error body: `{"error":"…"}`, also where that text is JSON again (`{"message":"…"}`, v1), or
 * `{"message":"…"}` and `{"faultstring":"…"}` (StarlingX); else the start of the text itself. Redacted.
 */
export function messageOf(body: string): string {
  const outer = parse(body)
  const error = v1Error.safeParse(outer)
  if (error.success) {
    const nested = inner.safeParse(parse(error.data.error))
    return oneLine(nested.success ? nested.data.message : error.data.error)
  }
  const faulty = fault.safeParse(outer)
  if (faulty.success) return oneLine(faulty.data.faultstring)
  const message = inner.safeParse(outer)
  return oneLine(message.success ? message.data.message : body)
}

function oneLine(text: string): string {
  return redact(text.slice(0, LONGEST_MESSAGE).replace(/\s+/g, ' ').trim())
}

/** What to throw for a status that has no meaning where it came. */
export function unexpected(method: string, answer: Answer): PublisherError {
  const message = messageOf(answer.body)
  const said = message === '' ? '' : `: ${message}`
  return new PublisherError('status', `${method} ${answer.url()} answered ${answer.status}${said}`, {
    url: answer.url(),
    status: answer.status,
    retryable: answer.status >= 500 || answer.status === 429,
  })
}

function read<T>(schema: z.ZodMiniType<T>, answer: Answer): T {
  const result = schema.safeParse(parse(answer.body))
  if (!result.success) throw misread(answer, 'a body that is none of this API')
  return result.data
}

function misread(answer: Answer, what: string): PublisherError {
  const start = redact(answer.body.slice(0, 80))
  return new PublisherError('body', `${answer.url()} answered ${answer.status} with ${what}: ${start}`, {
    url: answer.url(),
    status: answer.status,
  })
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/**
 * Reads an answer anew only where its text is another than the last time: what a publisher offers and holds is mostly
 * the same from poll to poll. What it gives is not to be modified.
 */
export function rememberingText<T>(read: (answer: Answer) => T): (answer: Answer) => T {
  let last: { readonly body: string; readonly found: T } | undefined
  return (answer) => {
    if (last?.body !== answer.body) last = { body: answer.body, found: read(answer) }
    return last.found
  }
}

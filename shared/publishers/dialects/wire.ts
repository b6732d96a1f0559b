import * as z from 'zod/mini'
import { PublisherError } from '#shared/errors.ts'
import { normalise } from '#shared/events/normalise.ts'
import type { HttpAnswer } from '#shared/http/client.ts'
import { redact } from '#shared/redact.ts'
import type { CurrentState, HeldSubscription } from './client.ts'

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
})

const list = z.nullable(z.array(subscription))

function heldOf(wire: z.infer<typeof subscription>): HeldSubscription {
  return {
    id: wire.SubscriptionId ?? wire.id ?? '',
    address: wire.ResourceAddress ?? wire.resource ?? '',
    endpoint: wire.EndpointUri ?? wire.endpointUri ?? '',
  }
}

/** A list of subscriptions or publishers: an array, `null`, or nothing at all where there are none. */
export function readList(answer: HttpAnswer): readonly HeldSubscription[] {
  if (answer.body.trim() === '') return []
  return read(list, answer)?.map(heldOf) ?? []
}

/** The subscription in the answer to a create or to a GET by id. */
export function readSubscription(answer: HttpAnswer): HeldSubscription {
  const held = heldOf(read(subscription, answer))
  if (held.id === '') throw misread(answer, 'a subscription without an id')
  return held
}

/** An answered pull, with what its body says about the clocks of `node`. */
export function readPull({ body, date, sentAt, receivedAt }: HttpAnswer, node: string): CurrentState {
  const value = parse(body)
  const readings = value === undefined ? undefined : normalise(value, { node, receivedAt, via: 'poll' })
  return { outcome: 'answered', body, readings, date, sentAt, receivedAt }
}

/** Characters. */
const LONGEST_MESSAGE = 400

const unknown = z.optional(z.unknown())
const errorBody = z.object({ error: unknown, faultstring: unknown, message: unknown })

/**
 * The message of an error body: `{"error":"…"}`, also where that text is JSON again (`{"message":"…"}`, v1), or
 * `{"message":"…"}` and `{"faultstring":"…"}` (StarlingX); else the start of the text itself. Redacted.
 */
export function errorMessage(body: string): string {
  const outer = errorBody.safeParse(parse(body)).data ?? {}
  const { error } = outer
  const nested = typeof error === 'string' ? errorBody.safeParse(parse(error)).data?.message : undefined
  const texts = [nested, error, outer.faultstring, outer.message].filter((one) => typeof one === 'string')
  return redact((texts[0] ?? body).slice(0, LONGEST_MESSAGE).replace(/\s+/g, ' ').trim())
}

/** The error for a status that the protocol does not have there. */
export function unexpected({ attempted: { what, url }, status, body }: HttpAnswer): PublisherError {
  const message = errorMessage(body)
  const said = message === '' ? '' : `: ${message}`
  const retryable = status >= 500 || status === 429
  return new PublisherError('status', `${what} answered ${status}${said}`, { url, status, retryable })
}

function read<T>(schema: z.ZodMiniType<T>, answer: HttpAnswer): T {
  const result = schema.safeParse(parse(answer.body))
  if (!result.success) throw misread(answer, 'a body that is not of this API')
  return result.data
}

function misread({ attempted: { url }, status, body }: HttpAnswer, what: string): PublisherError {
  const message = `${url} answered ${status} with ${what}: ${redact(body.slice(0, 80))}`
  return new PublisherError('body', message, { url, status })
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

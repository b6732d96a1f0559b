import type { Normalised } from '#shared/events/normalise.ts'
import type { CallOptions } from '#shared/http/client.ts'

export type Dialect = 'red-hat-v1' | 'red-hat-v2' | 'starlingx-v2'

/** A resource of a publisher: what kind of reading it gives, and the address to subscribe to and to pull. */
export type Resource = { readonly kind: string; readonly address: string }

/** A subscription as the publisher lists it, ours or a foreign one. */
export type HeldSubscription = {
  readonly id: string
  readonly address: string
  /** The EndpointUri; empty where events are only logged (v1). It may be a credential: never log it unredacted. */
  readonly endpoint: string
}

/**
 * What a publisher offers. `node` is the name it calls itself by, where it says so. `unpublished` are wanted kinds
 * that it does not have. It is not ready while it publishes nothing yet (protocol.md §3.3).
 */
export type Offer =
  | {
      readonly outcome: 'offered'
      readonly resources: readonly Resource[]
      readonly unpublished: readonly string[]
      readonly node: string | undefined
    }
  | { readonly outcome: 'not-ready'; readonly reason: string }

/**
 * What became of a create.
 * - `foreign`: v1's 201 with somebody else's subscription: one exists for the resource, and events go to its endpoint.
 * - `exists`: 409, the same one exists; its id is in the list.
 * - `not-ready`: 404, warming up, or the resource is none of this publisher's; the two look the same (protocol.md §3.1).
 */
export type Created =
  | { readonly outcome: 'created' | 'foreign'; readonly id: string; readonly endpoint: string }
  | { readonly outcome: 'exists' | 'not-ready'; readonly reason: string }

/**
 * The answer to a pull. `sentAt` and `receivedAt` are our time, RFC 3339; `date` is the `Date` header, by the publisher's
 * clock. `readings`: what the body says of clocks; undefined if it is not JSON. `unregistered`: v1, the publisher has
 * lost the sidecar's registration; creating again heals it.
 */
export type CurrentState = { readonly sentAt: string; readonly receivedAt: string } & (
  | {
      readonly outcome: 'answered'
      readonly body: string
      readonly readings: Normalised | undefined
      readonly date?: string | undefined
    }
  | {
      readonly outcome: 'none'
      readonly cause: 'no-data' | 'not-subscribed' | 'not-ready' | 'unregistered' | 'unknown'
      readonly reason: string
    }
)

/**
 * One publisher, spoken to in its dialect. Every call throws PublisherError when the publisher cannot be reached, is
 * too slow, answers with a status that its protocol does not have there, or with a body that is none of its own.
 */
export type Client = {
  readonly dialect: Dialect
  /** Posts the current state to the endpoint while it creates a subscription (design.md §3, rule 9). */
  readonly sendsInitial: boolean
  /** The `time` of a pull is the time of the question, by the publisher's clock (design.md §3, rule 6). */
  readonly queryTime: boolean
  /** The list proves that a subscription is served. v1's sidecar lists what its publisher may have forgotten. */
  readonly listProves: boolean
  /** What a subscription is unique by: v1 has one for a resource, whoever made it. */
  readonly uniqueBy: 'resource' | 'resource-and-endpoint'
  readonly node: string
  /** Where it is, for messages and documents: redacted. */
  readonly url: string
  /** Which of these kinds it offers, with their exact addresses. */
  offer(kinds: readonly string[], options?: CallOptions): Promise<Offer>
  /** Every subscription it holds, foreign ones too. */
  list(options?: CallOptions): Promise<readonly HeldSubscription[]>
  create(subscription: { address: string; endpoint: string }, options?: CallOptions): Promise<Created>
  /** False if there was none of this id (as far as the dialect tells). */
  remove(id: string, options?: CallOptions): Promise<boolean>
  /** Pulls the state of one resource. */
  currentState(address: string, options?: CallOptions): Promise<CurrentState>
}

import type { Normalised } from '#shared/events/normalise.ts'
import type { CallOptions } from '#shared/http/client.ts'

export type Dialect = 'red-hat-v1' | 'red-hat-v2' | 'starlingx-v2'

/** A resource of a publisher: its kind, and the address to subscribe to and to pull. */
export type Resource = { readonly kind: string; readonly address: string }

/** A subscription in a publisher's list, ours or foreign. */
export type HeldSubscription = {
  readonly id: string
  readonly address: string
  /** The EndpointUri; empty where events are only logged (v1). It may be a credential: never log it unredacted. */
  readonly endpoint: string
}

/**
 * What a publisher offers. `node` is its own name for its node, if it gives one; `unpublished` are wanted kinds that it
 * does not have. Until it publishes something it is not ready (protocol.md §3.3).
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
 * A client of one publisher, in its dialect. Every call throws PublisherError if the publisher cannot be reached, is too
 * slow, or answers with a status or a body that its protocol does not have there.
 */
export type Client = {
  readonly dialect: Dialect
  /** Posts the current state to the endpoint while it creates a subscription (design.md §3, rule 9). */
  readonly sendsInitial: boolean
  /** The `time` of a pull is the time of the request, on the publisher's clock (design.md §3, rule 6). */
  readonly queryTime: boolean
  /** Being listed proves that a subscription is served. A v1 sidecar may list what its publisher has forgotten. */
  readonly listProves: boolean
  /** What makes a subscription unique: v1 allows one for each resource, whoever created it. */
  readonly uniqueBy: 'resource' | 'resource-and-endpoint'
  readonly node: string
  /** Its URL for messages and documents: redacted. */
  readonly url: string
  /** The resources that it offers of these kinds, with their exact addresses. */
  offer(kinds: readonly string[], options?: CallOptions): Promise<Offer>
  /** All subscriptions that it holds, including foreign ones. */
  list(options?: CallOptions): Promise<readonly HeldSubscription[]>
  create(subscription: { address: string; endpoint: string }, options?: CallOptions): Promise<Created>
  /** False if there was none with this id, as far as the dialect tells. */
  remove(id: string, options?: CallOptions): Promise<boolean>
  /** Pulls the state of one resource. */
  currentState(address: string, options?: CallOptions): Promise<CurrentState>
}

import type { Observation } from '#shared/events/observation.ts'

/** What one question for the CurrentState of a kind brought, or an initial notification, which is the same. */
export type Pull = {
  readonly kind: string
  readonly via: 'poll' | 'initial'
  readonly observations: readonly Observation[]
  /** Clocks named without a reading of them. */
  readonly named: readonly { readonly kind: string; readonly instance: string }[]
  /** Our time at which the question went out, RFC 3339; of an initial notification, the request to subscribe. */
  readonly sentAt: string
  readonly receivedAt: string
  /** Whether the publisher's `time` is that of the query: then it orders pull and pushes, else receipt does. */
  readonly queryTime: boolean
  /** Of what came while a create was under way: when that was asked for. It may be an ordinary push (rule 9). */
  readonly create?: string | undefined
  /** The publisher holds our subscription, and says that it has no clock of this kind. */
  readonly none: boolean
}

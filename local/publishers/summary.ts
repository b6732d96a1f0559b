import type { Clock } from './clocks/clock.ts'
import type { Core } from './core.ts'
import type { HeldSubscription, Publisher, PublisherSummary } from './publisher.ts'

/** A publisher as people and scripts see it. `faults`: what its dialect has beside those of every publisher. */
export function summaryOf(
  publisher: Publisher,
  core: Core,
  host: { readonly origin: string; readonly listening: boolean },
  clocks: readonly Clock[],
  faults: object = {},
): PublisherSummary {
  const { node, label } = publisher
  return {
    node,
    label,
    url: host.origin,
    ready: core.ready,
    subscriptions: publisher.subscriptions(),
    clocks,
    faults: { ...core.faults.describe(), ...faults, refuse: !host.listening },
    delivered: core.delivered,
  }
}

/** The subscriptions of a version 2 publisher, whatever else it keeps of each. */
export function heldIn(
  subscriptions: ReadonlyMap<
    string,
    { readonly id: string; readonly endpoint: string; readonly address: string }
  >,
): HeldSubscription[] {
  return [...subscriptions.values()].map(({ id, endpoint, address }) => ({ id, endpoint, resource: address }))
}

import type { Core } from '../core.ts'
import type { Address } from './resources.ts'

export interface Subscription {
  readonly id: string
  readonly endpoint: string
  readonly address: string
  readonly parsed: Address
}

export interface Notification {
  readonly body: string
  /** Nanoseconds. */
  readonly at: bigint
}

const tries = 3

/**
 * Delivers one notification after the other, with up to three tries when nothing answers. A subscription
 * is never removed, and what fails thrice is not sent later. Quirk kept from the real sidecar: per
 * subscription, not per resource, a notification not newer than the last delivered one is dropped.
 */
export function createDelivery(core: Core, subscriptions: Map<string, Subscription>) {
  const newest = new Map<string, bigint>()
  const plan = core.faults.planner<{ endpoint: string; body: string }>({
    lane: ({ endpoint }) => endpoint,
    lost: ({ endpoint, body }) => core.dropped(endpoint, body),
  })
  let last: Promise<unknown> = Promise.resolve()

  async function deliver({ id, endpoint }: Subscription, notification: Notification) {
    await core.pause(core.faults.delayMs)
    if (!subscriptions.has(id)) return
    newest.set(id, notification.at)
    for (const item of plan({ endpoint, body: notification.body })) await send(item.endpoint, item.body)
  }

  async function send(endpoint: string, body: string) {
    for (let count = 0; count < tries; count += 1) {
      const outcome = await core.call(endpoint, body, 'event')
      if (outcome.kind !== 'refused' && outcome.kind !== 'timeout') return
    }
  }

  return {
    enqueue(subscription: Subscription, notification: Notification) {
      const before = newest.get(subscription.id)
      if (before !== undefined && notification.at <= before) return
      last = last.then(() => deliver(subscription, notification))
      core.track(last)
    },
  }
}

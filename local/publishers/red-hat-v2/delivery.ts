import type { Core } from '../core.ts'
import type { Figures } from '../figures.ts'
import type { CallOutcome } from '../http/call.ts'
import type { SubscriptionV2 } from './subscriptions.ts'

/** Consecutive refusals or time-outs after which a client is dropped (protocol.md §4.2). */
const failuresToDrop = 10

/**
 * The single delivery goroutine: one event after the other, one subscriber after the other, matched at
 * delivery time by the exact address. Ten refusals or time-outs in a row silently remove every
 * subscription of that EndpointUri (protocol.md §4.2).
 */
export function createDelivery(core: Core, subscriptions: Map<string, SubscriptionV2>, figures: Figures) {
  const failures = new Map<string, number>()
  const plan = core.faults.planner<{ endpoint: string; body: string }>({
    lane: ({ endpoint }) => endpoint,
    lost: ({ endpoint, body }) => core.dropped(endpoint, body),
  })
  let last: Promise<unknown> = Promise.resolve()

  async function deliver(address: string, body: string) {
    await core.pause(core.faults.delayMs)
    const due = [...subscriptions.values()].filter((subscription) => subscription.address === address)
    for (const { id, endpoint } of due) {
      // An earlier subscriber's failure may have removed this one.
      if (!subscriptions.has(id)) continue
      for (const item of plan({ endpoint, body })) {
        const outcome = await core.call(item.endpoint, item.body, 'event')
        const taken = outcome.kind === 'status' && outcome.status === 204
        figures.count('cne_events_received', { type: address, status: taken ? 'success' : 'failed' })
        account(item.endpoint, outcome)
      }
    }
  }

  function account(endpoint: string, outcome: CallOutcome) {
    if (outcome.kind === 'broken') return
    const count = outcome.kind === 'status' ? 0 : (failures.get(endpoint) ?? 0) + 1
    failures.set(endpoint, count)
    if (count < failuresToDrop) return
    failures.delete(endpoint)
    for (const [id, subscription] of subscriptions) {
      if (subscription.endpoint === endpoint) subscriptions.delete(id)
    }
  }

  return {
    enqueue(address: string, body: string) {
      figures.count('cne_api_events_published', { address, status: 'success' })
      last = last.then(() => deliver(address, body))
      core.track(last)
    },
  }
}

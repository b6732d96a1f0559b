import type { Core } from '../core.ts'
import { type Address, isAt } from './resources.ts'
import type { Published } from './service.ts'

export interface Subscription {
  readonly id: string
  readonly endpoint: string
  readonly address: string
  readonly parsed: Address
}

const tries = 3

/**
 * Delivers one notification after the other, with up to three tries when nothing answers. A subscription is never
 * removed, and what fails thrice is not sent later. Quirks kept from the real sidecar (starlingx.md):
 * - only the first subscription that matches is served, in the order of the list, also where its endpoint is dead;
 * - for a subscription, not for a resource, what is not newer than the last delivered notification is skipped;
 * - once there was a subscription to `/sync`, each notification comes in twice, and the first two are served.
 */
export function createDelivery(
  core: Core,
  subscriptions: ReadonlyMap<string, Subscription>,
  isNode: (address: Address, node: string) => boolean,
) {
  const newest = new Map<string, bigint>()
  let copies = 1
  const plan = core.faults.planner<{ endpoint: string; body: string }>({
    lane: ({ endpoint }) => endpoint,
    lost: ({ endpoint, body }) => core.dropped(endpoint, body),
  })
  let last: Promise<unknown> = Promise.resolve()

  async function deliver({ node, resource, body, at }: Published) {
    await core.pause(core.faults.delayMs)
    const isNews = ({ id }: Subscription) => (newest.get(`${node} ${id}`) ?? -1n) < at
    const first = [...subscriptions.values()].find(
      (one) => isAt(resource.path, one.parsed.path) && isNode(one.parsed, node) && isNews(one),
    )
    if (first === undefined) return
    // What a fault loses or holds back has left, as far as the sidecar knows.
    newest.set(`${node} ${first.id}`, at)
    const sent = plan({ endpoint: first.endpoint, body })
    const outcomes: boolean[] = []
    for (const item of sent) outcomes.push(await send(item.endpoint, item.body))
    if (outcomes.includes(false)) newest.delete(`${node} ${first.id}`)
  }

  /** Whether it was taken. */
  async function send(endpoint: string, body: string): Promise<boolean> {
    for (let count = 0; count < tries; count += 1) {
      const outcome = await core.call(endpoint, body, 'event')
      if (outcome.kind !== 'refused' && outcome.kind !== 'timeout')
        return outcome.kind === 'status' && outcome.status < 400
    }
    return false
  }

  return {
    publish(one: Published) {
      for (let copy = 0; copy < copies; copy += 1) {
        last = last.then(() => deliver(one))
        core.track(last)
      }
    },
    subscribed({ parsed }: Subscription) {
      if (parsed.path === '/sync') copies = 2
    },
    /** As after a restart of the sidecar. */
    restart() {
      newest.clear()
      copies = [...subscriptions.values()].some(({ parsed }) => parsed.path === '/sync') ? 2 : 1
    },
  }
}

import { PublisherError } from '#shared/errors.ts'
import type {
  CallOptions,
  Client,
  Created,
  HeldSubscription,
  Resource,
} from '#shared/publishers/dialects/client.ts'
import { ownerOf, type Situation } from './plan.ts'
import type { Record } from './journal.ts'

/** What came of asking for one subscription. */
export type Requested =
  | { readonly outcome: 'created' | 'adopted'; readonly id: string }
  /** A stranger's stands in its place (v1). */
  | { readonly outcome: 'blocked'; readonly endpoint: string }
  /** One of ours with an older endpoint stands in its place (v1), and may not be taken away yet. */
  | { readonly outcome: 'withheld' }
  | { readonly outcome: 'not-ready' | 'refused'; readonly reason: string }

export type RequestDeps = {
  readonly client: Client
  readonly record: Record
  readonly situation: Situation
  /** Takes one of ours away; false where that is not allowed yet. */
  readonly remove: (subscription: HeldSubscription, why: string) => Promise<boolean>
  /** The publisher took a subscription to our endpoint. */
  readonly onTaken: () => void
}

/** What a v1 sidecar has in memory more than once is delivered from there until it restarts (protocol.md §2.4). */
const STUCK =
  'the sidecar has deleted our previous subscription but still delivers to its endpoint from memory: restart the sidecar (its pod); the next poll or subscribe then creates the new one. Keep the previous CALLBACK_SECRET as the second value until then'

/**
 * Asks a publisher for one subscription, and finds it in the list where it says that it is there already. While the
 * publisher may be posting its initial notification, the node has the kind as pending (design.md §3, rule 9).
 */
export async function requestOne(
  deps: RequestDeps,
  resource: Resource,
  endpoint: string,
  call: CallOptions,
): Promise<Requested> {
  const { client, situation, remove, onTaken } = deps
  const { address } = resource
  let created = await create(deps, resource, endpoint, call)
  if (created.outcome === 'created' || created.outcome === 'foreign') onTaken()
  if (created.outcome === 'foreign' && ownerOf({ ...created, address }, situation) !== 'stranger') {
    if (!(await remove({ ...created, address }, 'replaced'))) return { outcome: 'withheld' }
    created = await create(deps, resource, endpoint, call)
    if (created.outcome === 'foreign' && ownerOf({ ...created, address }, situation) !== 'stranger') {
      return { outcome: 'refused', reason: STUCK }
    }
  }
  switch (created.outcome) {
    case 'created':
      return { outcome: 'created', id: created.id }
    case 'foreign':
      return { outcome: 'blocked', endpoint: created.endpoint }
    case 'not-ready':
      return created
    case 'exists': {
      const list = await client.list(call)
      const equal = list.find((held) => held.address === address && held.endpoint === endpoint)
      if (equal !== undefined) return { outcome: 'adopted', id: equal.id }
      const said = created.reason === '' ? '' : `: ${created.reason}`
      return { outcome: 'refused', reason: `it says that there is one already (409) but lists none${said}` }
    }
  }
}

async function create(
  { client, record }: RequestDeps,
  { kind, address }: Resource,
  endpoint: string,
  call: CallOptions,
): Promise<Created> {
  if (!client.sendsInitial) return await client.create({ address, endpoint }, call)
  await record.pending(kind, client.queryTime)
  try {
    const created = await client.create({ address, endpoint }, call)
    record.answered(kind, { sentInitial: created.outcome === 'created' })
    return created
  } catch (error) {
    // Without an answer the publisher may still be creating: the entry stands until it dies of age.
    if (error instanceof PublisherError && error.status !== undefined) record.answered(kind)
    throw error
  }
}

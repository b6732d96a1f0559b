import type { Log } from '#shared/log.ts'
import { createDraft, finishDraft, patchNode } from '#shared/state/draft.ts'
import { forgetFuture } from '#shared/state/merge-own-times.ts'
import type { NodeState } from '#shared/state/node-state.ts'
import type { MergeSettings } from '#shared/state/settings.ts'
import type { Outcome, Store } from '#shared/state/store.ts'
import { type Clock, isoTime, milliseconds } from '#shared/time.ts'
import { serviceOf } from './discover-services.ts'

/** A node of the store whose publisher is, or was, behind a Service of the namespace. */
export type KnownNode = {
  readonly node: string
  readonly service: string
  readonly url: string
  /** RFC 3339, our time. */
  readonly checkedAt: string
  readonly goneSince: string | undefined
}

const NODES_A_PAGE = 200

/** The nodes of the store that were found in this namespace. Throws StoreError. */
export async function knownNodes(store: Pick<Store, 'list'>, namespace: string): Promise<KnownNode[]> {
  const known: KnownNode[] = []
  let from: string | undefined
  do {
    const page = await store.list({ limit: NODES_A_PAGE, from })
    for (const { state } of page.nodes) {
      if (state.publisher === undefined) continue
      const { url, checkedAt, goneSince } = state.publisher
      const service = serviceOf(url, namespace)
      if (service !== undefined) known.push({ node: state.node, service, url, checkedAt, goneSince })
    }
    from = page.next
  } while (from !== undefined)
  return known
}

export type GoneDeps = {
  readonly store: Pick<Store, 'update' | 'remove'>
  readonly clock: Clock
  readonly log: Log
}

export type GoneOptions = {
  readonly settings: MergeSettings
  /** Milliseconds that a node is kept after it has gone. */
  readonly retentionMs: number
  /** When the list was asked for that the node is not on (our time, ms). */
  readonly listedAt: number
}

/**
 * Marks a node that is gone, and has its silence told of as a poll would; removes it from the store once it has been
 * gone, and nothing of it has come in, for long enough. A node that was reached after the list was asked for, or
 * elsewhere, is left as it is. Its mark goes with the next time it is found, when the keeper writes its publisher anew.
 * Throws StoreError.
 */
export async function markGone(
  deps: GoneDeps,
  { node, service, url }: KnownNode,
  options: GoneOptions,
): Promise<'gone' | 'forgotten' | 'there'> {
  const { store, clock, log } = deps
  const { settings, retentionMs, listedAt } = options
  const now = clock.now()
  const { goneSince, isNew } = await store.update(
    node,
    (current): Outcome<Seen> => {
      if (current === undefined) return { result: THERE }
      const draft = createDraft(current, settings)
      forgetFuture(draft, now)
      const { publisher } = draft.state
      if (publisher?.url !== url) return { result: THERE }
      const isNew = publisher.goneSince === undefined
      // A time of ours in the future does not say when it was reached.
      const isKnown = publisher.checkedAt === current.publisher?.checkedAt
      if (isNew && isKnown && publisher.reachable && milliseconds(publisher.checkedAt) >= listedAt) {
        return { result: THERE }
      }
      const goneSince = publisher.goneSince ?? isoTime(now)
      if (isNew) {
        const problem = `discovery finds it no more behind the Service ${service}`
        patchNode(draft, { publisher: { ...publisher, reachable: false, problem, goneSince } })
      }
      const { state, entries } = finishDraft(draft, 'poll', now, true)
      return { state, entries, result: { goneSince, isNew } }
    },
    { fresh: true },
  )
  if (goneSince === undefined) return 'there'
  if (isNew) log.warn('A node is gone', { node, service })
  let unsent = 0
  const removed = await store.remove(node, (current) => {
    unsent = current.seq - (current.forwarded ?? current.seq)
    return current.publisher?.goneSince === goneSince && now - silentSince(current, goneSince) >= retentionMs
  })
  if (!removed) return 'gone'
  if (unsent > 0) log.error('Log entries were dropped before the broker had them', { node, dropped: unsent })
  log.warn('A node that was gone for long was removed from the state', { node, goneSince })
  return 'forgotten'
}

type Seen = {
  /** Undefined where it is not gone. */
  readonly goneSince?: string
  readonly isNew: boolean
}

const THERE: Seen = { isNew: false }

/**
 * Since when a node has been gone and nothing of it has come in (our time, ms): pushes may still come from one whose
 * Service alone is gone, and what was acknowledged is kept.
 */
function silentSince({ clocks }: NodeState, goneSince: string): number {
  return Math.max(milliseconds(goneSince), ...clocks.map(({ receivedAt }) => milliseconds(receivedAt)))
}

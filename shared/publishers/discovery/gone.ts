import pLimit from 'p-limit'
import type { Config } from '#shared/config/index.ts'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { createDraft, type MergeSettings, patchNode } from '#shared/state/merge/draft.ts'
import { finishDraft } from '#shared/state/merge/finish.ts'
import { forgetFuture, isAhead } from '#shared/state/merge/own-times.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import type { Store } from '#shared/state/store/store.ts'
import { type Clock, isoTime, milliseconds } from '#shared/time.ts'
import { shardOf } from '#shared/publishers/shard.ts'

/** A node of the store whose publisher was polled. */
export type KnownNode = {
  readonly node: string
  readonly url: string
  /** RFC 3339, our time. */
  readonly checkedAt: string
  readonly goneSince: string | undefined
}

const NODES_A_PAGE = 200

/**
 * All nodes of the store whose publisher was polled.
 * @throws StoreError
 */
export async function knownNodes(store: Pick<Store, 'list'>): Promise<KnownNode[]> {
  const known: KnownNode[] = []
  let from: string | undefined
  do {
    const page = await store.list({ limit: NODES_A_PAGE, from })
    known.push(...page.nodes.flatMap(({ state }) => knownNode(state)))
    from = page.next
  } while (from !== undefined)
  return known
}

function knownNode(state: NodeState | undefined): KnownNode[] {
  if (state?.publisher === undefined) return []
  const { url, checkedAt, goneSince } = state.publisher
  return [{ node: state.node, url, checkedAt, goneSince }]
}

type GoneDeps = {
  readonly store: Pick<Store, 'update' | 'remove'>
  readonly clock: Clock
  readonly log: Log
}

type GoneOptions = {
  readonly settings: MergeSettings
  /** Milliseconds that a node is kept after it has gone. */
  readonly retentionMs: number
  /** One that was reached at this time or later is not gone (our time, ms). */
  readonly listedAt: number
}

/** A node that is gone; `problem` is why, for people. */
type GoneNode = KnownNode & { readonly problem: string }

/**
 * Marks all these nodes, a few at once. One document that cannot be written keeps nobody from being polled: it is
 * logged, and the next run tries again.
 */
export async function markAllGone(
  deps: GoneDeps,
  nodes: readonly GoneNode[],
  options: GoneOptions & { readonly concurrency: number },
): Promise<void> {
  const unmarked: string[] = []
  await pLimit(options.concurrency).map(nodes, (each) =>
    markGone(deps, each, options).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      unmarked.push(reasonOf(error))
    }),
  )
  const [reason] = unmarked
  if (reason === undefined) return
  deps.log.warn('nodes that are gone could not be marked: retried at the next poll', {
    nodes: unmarked.length,
    reason,
  })
}

/**
 * Marks the nodes of the store that a list of publishers does not name, as far as this shard sees to them. A node that
 * was polled within STALE_AFTER_SECONDS is on the list of somebody else who shares the store; an empty list marks
 * nobody. Whether the store can be reached is the poll's to say.
 */
export async function markUnlisted(
  deps: GoneDeps & { readonly store: Pick<Store, 'names' | 'read'> },
  config: Pick<Config, 'publishers' | 'shard' | 'stateRetentionMs' | 'pollConcurrency'> & {
    readonly merge: MergeSettings
  },
): Promise<void> {
  const { publishers, shard, merge: settings, stateRetentionMs: retentionMs } = config
  if (publishers.length === 0) return
  const listed = new Set(publishers.map(({ node }) => node))
  const now = deps.clock.now()
  const listedAt = now - settings.staleAfterMs
  const isPolled = ({ checkedAt, goneSince }: KnownNode) =>
    goneSince === undefined && milliseconds(checkedAt) >= listedAt && !isAhead(checkedAt, now, settings)
  const options = { settings, retentionMs, listedAt, concurrency: config.pollConcurrency }
  try {
    const names = await deps.store.names()
    const unlisted = names.filter((node) => !listed.has(node) && shardOf(node, shard.count) === shard.index)
    const known = await pLimit(options.concurrency).map(unlisted, (node) => deps.store.read(node))
    const gone = known.flatMap(knownNode).filter((each) => !isPolled(each))
    const problem = 'PUBLISHERS does not list it any more'
    await markAllGone(
      deps,
      gone.map((each) => ({ ...each, problem })),
      options,
    )
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
  }
}

/**
 * Marks a node that is gone, and has its silence told of as a poll would; removes it from the store once it has been
 * gone, and nothing of it has come in, for long enough. A node that was reached after the list was asked for, or
 * elsewhere, is left as it is. Its mark goes with the next time it is polled, when the keeper writes its publisher.
 * Throws StoreError.
 */
async function markGone(
  deps: GoneDeps,
  { node, url, problem }: GoneNode,
  options: GoneOptions,
): Promise<'gone' | 'forgotten' | 'there'> {
  const { store, clock, log } = deps
  const { settings, retentionMs, listedAt } = options
  const now = clock.now()
  const { goneSince, isNew } = await store.update(node, (current): Outcome<Seen> => {
    if (current === undefined) return { result: THERE }
    const draft = createDraft(current, settings, now, 'poll')
    forgetFuture(draft)
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
      patchNode(draft, { publisher: { ...publisher, reachable: false, problem, goneSince } })
    }
    const { state, entries } = finishDraft(draft, true)
    return { state, entries, result: { goneSince, isNew } }
  })
  if (goneSince === undefined) return 'there'
  if (isNew) log.warn('A node is gone', { node, problem })
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

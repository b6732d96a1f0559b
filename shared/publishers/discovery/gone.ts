import pLimit from 'p-limit'
import type { Config } from '#shared/config/index.ts'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { shardOf } from '#shared/publishers/shard.ts'
import { damagedState, type NodeState } from '#shared/state/document.ts'
import { createDraft, type MergeSettings, patchNode } from '#shared/state/merge/draft.ts'
import { finishDraft } from '#shared/state/merge/finish.ts'
import { forgetFuture, isAhead } from '#shared/state/merge/own-times.ts'
import type { Store } from '#shared/state/store/store.ts'
import { type Clock, isoTime, milliseconds } from '#shared/time.ts'

/** A stored node with a publisher that was polled, and what is known about that publisher. */
export type KnownNode = NonNullable<NodeState['publisher']> & { readonly node: string }

type GoneDeps = {
  readonly store: Pick<Store, 'update' | 'remove'>
  readonly clock: Clock
  readonly log: Log
}

/** How long gone nodes are kept, and by which rules; see {@link Config}. */
export type GoneOptions = Pick<Config, 'stateRetentionMs' | 'pollConcurrency'> & {
  readonly merge: MergeSettings
}

type Gone = { readonly node: string; readonly url: string; readonly problem: string }

const NODES_A_PAGE = 200

/** All stored nodes whose publisher was polled. @throws StoreError */
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
  return state?.publisher === undefined ? [] : [{ ...state.publisher, node: state.node }]
}

/**
 * Marks these nodes as gone, and removes those that have been gone for long enough. A node that was reached at
 * `listedAt` (our time, ms) or later is not gone. If a document cannot be written, that is logged and left to the next
 * run: polling goes on.
 */
export async function markGone(
  deps: GoneDeps,
  nodes: readonly Gone[],
  options: GoneOptions & { readonly listedAt: number },
): Promise<void> {
  const unmarked: string[] = []
  await pLimit(options.pollConcurrency).map(nodes, (each) =>
    markOne(deps, each, options).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      unmarked.push(reasonOf(error))
    }),
  )
  const [reason] = unmarked
  if (reason === undefined) return
  const message = 'cannot mark nodes as gone; retrying at the next poll'
  deps.log.warn(message, { nodes: unmarked.length, reason })
}

/**
 * Marks the stored nodes of this shard that PUBLISHERS does not list. A node polled within STALE_AFTER_SECONDS is
 * listed by somebody else who shares the store; an empty list marks nobody.
 */
export async function markUnlisted(
  deps: GoneDeps & { readonly store: Pick<Store, 'versions' | 'read'> },
  config: Pick<Config, 'publishers' | 'shard'> & GoneOptions,
): Promise<void> {
  const { publishers, shard, merge } = config
  if (publishers.length === 0) return
  const listed = new Set(publishers.map(({ node }) => node))
  const now = deps.clock.now()
  const listedAt = now - merge.staleAfterMs
  const isPolled = ({ checkedAt, goneSince }: KnownNode) =>
    goneSince === undefined && milliseconds(checkedAt) >= listedAt && !isAhead(checkedAt, now, merge)
  try {
    const names = [...(await deps.store.versions()).keys()]
    const unlisted = names.filter((node) => !listed.has(node) && shardOf(node, shard.count) === shard.index)
    const states = await pLimit(config.pollConcurrency).map(unlisted, (node) =>
      deps.store.read(node).catch((error: unknown) => damagedState(node, error)),
    )
    const unpolled = states.flatMap(knownNode).filter((each) => !isPolled(each))
    const gone = unpolled.map((each) => ({ ...each, problem: 'PUBLISHERS does not list it any more' }))
    await markGone(deps, gone, { ...config, listedAt })
  } catch (error) {
    // Whether the store is reachable is for the poll to report.
    if (!(error instanceof StoreError)) throw error
  }
}

/**
 * Marks a node as gone and announces that it is stale, as a poll would. Removes it once nothing has arrived for long
 * enough: if only its Service is gone, pushes still arrive. The next poll clears the mark. Throws StoreError.
 */
async function markOne(
  { store, clock, log }: GoneDeps,
  { node, url, problem }: Gone,
  { merge, stateRetentionMs, listedAt }: GoneOptions & { readonly listedAt: number },
): Promise<void> {
  const now = clock.now()
  const gone = await store.update<{ since: string; isNew: boolean } | undefined>(node, (current) => {
    if (current === undefined) return { result: undefined }
    const draft = createDraft(current, merge, now, 'poll')
    forgetFuture(draft)
    const { publisher } = draft.state
    if (publisher?.url !== url) return { result: undefined }
    const isNew = publisher.goneSince === undefined
    // A time of ours in the future does not say when it was reached.
    const isKnown = publisher.checkedAt === current.publisher?.checkedAt
    if (isNew && isKnown && publisher.reachable && milliseconds(publisher.checkedAt) >= listedAt) {
      return { result: undefined }
    }
    const since = publisher.goneSince ?? isoTime(now)
    if (isNew) {
      const reachedAt = publisher.reachable ? publisher.checkedAt : publisher.reachedAt
      patchNode(draft, {
        publisher: { ...publisher, reachable: false, problem, goneSince: since, reachedAt },
      })
    }
    return { ...finishDraft(draft, true), result: { since, isNew } }
  })
  if (gone === undefined) return
  if (gone.isNew) log.warn('node is gone', { node, problem })
  let unsent = 0
  const removed = await store.remove(node, ({ seq, forwarded = seq, publisher, clocks }) => {
    unsent = seq - forwarded
    const silentSince = Math.max(
      ...[gone.since, ...clocks.map(({ receivedAt }) => receivedAt)].map(milliseconds),
    )
    return publisher?.goneSince === gone.since && now - silentSince >= stateRetentionMs
  })
  if (!removed) return
  if (unsent > 0) log.error('log entries dropped before they reached the sink', { node, dropped: unsent })
  log.warn('removed node that was gone for STATE_RETENTION_SECONDS', { node, goneSince: gone.since })
}

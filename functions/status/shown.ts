import { becauseOf, beganOf } from '#shared/state/because.ts'
import { damagedState, type LogEntry, type NodeState } from '#shared/state/document.ts'
import { holdoverOf } from '#shared/state/holdover.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import { viewOf } from '#shared/state/view.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import { DOUBTS, type Row } from './http/schemas.ts'

export type Settings = MergeSettings & {
  /** How long a node may be in HOLDOVER, unless its own label says otherwise. */
  readonly holdoverBudgetMs: number
}

/** A node as the API shows it. */
export type ShownNode = ReturnType<typeof shownOf>

export type Deps = {
  readonly store: Store
  readonly clock: Clock
  readonly settings: Settings
  readonly historyPerNode: number
}

/** How many log entries a node is shown with; the rest is available by time. */
const SHOWN_LOG = 100

/** A node at `now` (milliseconds), with its log if given. */
export function shownOf(state: NodeState, now: number, settings: Settings, log?: readonly LogEntry[]) {
  const view = viewOf(state, now, settings, log)
  return { ...view, holdover: holdoverOf(view, now, settings.holdoverBudgetMs) }
}

/** `key=value` of each label. */
export function labelTexts({ labels }: Pick<ShownNode, 'labels'>): string[] {
  return Object.entries(labels).map((label) => label.join('='))
}

/** A node in brief. */
export function rowOf(view: ShownNode): Row {
  const began = beganOf(view)
  const { node, overall, labels, holdover, publisher } = view
  const flags: Row['flags'] = DOUBTS.filter((doubt) => view[doubt])
  if (publisher?.goneSince !== undefined) flags.push('gone')
  else if (publisher?.reachable === false) flags.push('unreachable')
  return {
    ...{ node, overall, labels, holdover, flags },
    since: began === undefined ? null : isoTime(began.at),
    orBefore: began?.orBefore ?? false,
    because: becauseOf(view),
    checkedAt: publisher?.checkedAt ?? null,
    missed: view.counters.missed,
  }
}

/** The document of a node to be shown; an unreadable one becomes {@link damagedState}. */
export function readShown(store: Pick<Store, 'read'>, node: string): Promise<NodeState | undefined> {
  return store.read(node).catch((error: unknown) => damagedState(node, error))
}

/** A node with its newest log entries; undefined if there is no such node. */
export async function nodeWithLog(deps: Deps, node: string): Promise<ShownNode | undefined> {
  const { store, clock, settings, historyPerNode } = deps
  const state = await readShown(store, node)
  if (state === undefined) return undefined
  const limit = Math.min(historyPerNode, SHOWN_LOG)
  const range = { after: Math.max(0, state.seq - limit), limit }
  const log = state.damaged === undefined ? await store.log(node, range) : undefined
  return shownOf(state, clock.now(), settings, log)
}

import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { holdoverOf } from '#shared/state/holdover.ts'
import { defaultSettings, type MergeSettings } from '#shared/state/merge/draft.ts'
import { viewOf } from '#shared/state/view.ts'

export type Settings = MergeSettings & {
  /** How long a node may be in HOLDOVER, unless a label of its own says otherwise. */
  readonly holdoverBudgetMs: number
}

/** The defaults of the configuration. */
export const defaultShown: Settings = { ...defaultSettings, holdoverBudgetMs: 14_400_000 }

/** A node as the API shows it. */
export type ShownNode = ReturnType<typeof shownOf>

/** A node at `now` (milliseconds), with its log where one is given. */
export function shownOf(state: NodeState, now: number, settings: Settings, log?: readonly LogEntry[]) {
  const view = viewOf(state, now, settings, log)
  return { ...view, holdover: holdoverOf(view, now, settings.holdoverBudgetMs) }
}

import {
  type Counters,
  emptyNodeState,
  type LogEntry,
  type NewEntry,
  type NodeState,
} from '#shared/state/document.ts'

/** The result of a change to a document. */
export type Outcome<T> = {
  /** The next document, or undefined if it does not change. The store sets its `seq` and `counters`. */
  readonly state?: NodeState | undefined
  /** New log lines in order; the store numbers them. They need a document: this one or the current one. */
  readonly entries?: readonly NewEntry[]
  /** Added to the document's counters; dropped if there is no document. */
  readonly counters?: Partial<Counters> | undefined
  readonly result: T
}

/** Pure: may be called again with a newer document. `current` must not be modified. */
export type Change<T> = (current: NodeState | undefined) => Outcome<T>

/** Whether a node with this document should be removed. Pure, like a {@link Change}. */
export type Decide = (current: NodeState) => boolean

/** The changed document and its new log entries. */
type Changed = { readonly state: NodeState; readonly entries: readonly LogEntry[] }

/**
 * Applies changes in order, each to the result of the one before, and numbers the entries. Undefined if there is
 * nothing to write. A change that returns undefined is skipped.
 */
export function applyAll(
  known: NodeState | undefined,
  changes: readonly ((current: NodeState | undefined) => Outcome<unknown> | undefined)[],
): Changed | undefined {
  let current = known
  let changed = false
  const entries: LogEntry[] = []
  for (const change of changes) {
    const { state, entries: added = [], counters = {} } = change(current) ?? {}
    const counts = Object.keys(counters).length > 0
    const next = state ?? (added.length > 0 || counts ? current : undefined)
    if (next === undefined) continue
    changed = true
    let seq = current?.seq ?? 0
    for (const entry of added) entries.push({ ...entry, seq: ++seq })
    const before = current?.counters ?? emptyNodeState('', '').counters
    current = { ...next, seq, counters: counts ? plus(before, counters) : before }
  }
  return changed && current !== undefined ? { state: current, entries } : undefined
}

function plus(counters: Counters, added: Partial<Counters>): Counters {
  return {
    received: counters.received + (added.received ?? 0),
    duplicate: counters.duplicate + (added.duplicate ?? 0),
    late: counters.late + (added.late ?? 0),
    missed: counters.missed + (added.missed ?? 0),
    quarantined: counters.quarantined + (added.quarantined ?? 0),
    clockSteps: counters.clockSteps + (added.clockSteps ?? 0),
    suspect: counters.suspect + (added.suspect ?? 0),
    transitions: counters.transitions + (added.transitions ?? 0),
  }
}

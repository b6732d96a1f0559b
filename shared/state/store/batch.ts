import { type Counters, emptyNodeState, type LogEntry, type NodeState } from '#shared/state/document.ts'
import type { Outcome } from './change.ts'

/** What the changes of a batch come to, computed on one document. */
export type Batch<S> = {
  /** The document to write with its new entries; undefined where no change asks for a write. */
  readonly write: { readonly state: NodeState; readonly entries: readonly LogEntry[] } | undefined
  /** Counter deltas that no write carries; undefined where there are none. */
  readonly owed: Counters | undefined
  /** Steps whose outcome holds only if no one else has written since the document was read. */
  readonly uncertain: readonly S[]
}

/**
 * Applies the steps in order, each to what the one before left, and numbers the entries. Pure but for `apply`, which
 * gives undefined for a step that threw and may be called again with a newer document.
 * `owed` are deltas of earlier batches: they go into the write, or stay owed where there is none. Without a
 * document there is nothing to count in: such deltas are dropped.
 */
export function applyAll<S>(
  known: NodeState | undefined,
  steps: readonly S[],
  apply: (step: S, current: NodeState | undefined) => Outcome<unknown> | undefined,
  owed: Counters | undefined,
): Batch<S> {
  let current = known
  let loose = owed
  let changed = false
  let entries: LogEntry[] = []
  const uncertain: S[] = []
  for (const step of steps) {
    const outcome = apply(step, current)
    const next = outcome?.state ?? (outcome?.entries?.length ? current : undefined)
    if (outcome === undefined || next === undefined) {
      if (outcome?.certain !== true) uncertain.push(step)
      const counted = outcome?.counters
      if (counted !== undefined && current !== undefined && Object.keys(counted).length > 0) {
        loose = plus(loose ?? NONE, counted)
      }
      continue
    }
    changed = true
    let seq = current?.seq ?? 0
    if (outcome.entries !== undefined) {
      const numbered = outcome.entries.map((entry) => ({ ...entry, seq: ++seq }))
      if (entries.length === 0) entries = numbered
      else entries.push(...numbered)
    }
    const counted = current?.counters ?? NONE
    current = {
      ...next,
      seq,
      counters: outcome.counters === undefined ? counted : plus(counted, outcome.counters),
    }
  }
  if (current === undefined) return { write: undefined, owed: undefined, uncertain }
  if (!changed) return { write: undefined, owed: loose, uncertain }
  const state = loose === undefined ? current : { ...current, counters: plus(current.counters, loose) }
  return { write: { state, entries }, owed: undefined, uncertain }
}

const NONE: Counters = emptyNodeState('', '').counters

/** The sum of what several nodes are owed. */
export function totalOf(owed: readonly (Counters | undefined)[]): Counters {
  return owed.reduce<Counters>((sum, each) => plus(sum, each ?? {}), NONE)
}

function plus(counters: Counters, deltas: Partial<Counters>): Counters {
  return {
    received: counters.received + (deltas.received ?? 0),
    duplicate: counters.duplicate + (deltas.duplicate ?? 0),
    late: counters.late + (deltas.late ?? 0),
    missed: counters.missed + (deltas.missed ?? 0),
    quarantined: counters.quarantined + (deltas.quarantined ?? 0),
    clockSteps: counters.clockSteps + (deltas.clockSteps ?? 0),
    suspect: counters.suspect + (deltas.suspect ?? 0),
  }
}

import type { NewEntry, NodeState } from '#shared/state/document.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import { isoTime } from '#shared/time.ts'
import type { Draft, DraftEntry } from './draft.ts'
import { conditionOf, OVERALL_KINDS } from './overall.ts'

/**
 * The outcome of a merge: nothing but counters if nothing was put, patched or added. Staleness comes with time alone,
 * and an event that changes nothing does not announce it: `always` does.
 */
export function finishDraft(draft: Draft, always = false): Omit<Outcome<unknown>, 'result'> & Finished {
  const { before, state, entries, counters, now, via, settings } = draft
  if (state === before && entries.length === 0 && !always) return { entries: [], counters }
  const announced = conditionOf(state, now, settings)
  const { overall, stale, blind } = announced
  const told = before.announced
  // What a poll or time alone brings is dated by the latest it can have been.
  const notAfter = isoTime(now)
  if (stale && !told.stale) entries.push({ type: 'stale', via, notAfter })
  if (blind && !told.blind) entries.push({ type: 'blind', via, notAfter })
  if (!stale && !blind && (told.stale || told.blind)) entries.push({ type: 'recovered', via, notAfter })
  if (overall !== told.overall) {
    const dated = datedLike(entries, overall) ?? { via, notAfter }
    entries.push({ type: 'overall', from: told.overall, to: overall, ...dated })
  }
  if (state === before && entries.length === 0) return { entries: [], counters }
  return {
    state: { ...state, announced },
    entries: entries.map((entry) => ({ ...entry, overall })),
    counters,
  }
}

type Finished = { readonly state?: NodeState; readonly entries: readonly NewEntry[] }

/** The change of a node as a whole is dated, and came, like the change of the clock that caused it. */
function datedLike(entries: readonly DraftEntry[], overall: string) {
  const deciding = entries.filter(
    ({ type, kind }) => (type === 'changed' || type === 'suspect') && OVERALL_KINDS.has(kind ?? ''),
  )
  const cause = deciding.findLast(({ to }) => to === overall) ?? deciding.at(-1)
  if (cause === undefined) return undefined
  const { via, at, notBefore, notAfter } = cause
  return { via, at, notBefore, notAfter }
}

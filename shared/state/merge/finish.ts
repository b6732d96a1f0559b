import type { NewEntry, NodeState } from '#shared/state/document.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import { isoTime, milliseconds } from '#shared/time.ts'
import { count, type Draft, type DraftEntry } from './draft.ts'
import { conditionOf, isDeciding, isStale, OVERALL_KINDS } from './overall.ts'
import { countSpent } from './spent.ts'

/**
 * The outcome of a merge; only counters if nothing was put, patched or added. A node goes stale by time alone, which an
 * event that changes nothing does not announce; with `always` it is announced.
 */
export function finishDraft(draft: Draft, always = false): Omit<Outcome<unknown>, 'result'> & Finished {
  const { before, state, entries, counters, now, via, settings } = draft
  if (state === before && entries.length === 0 && !always) return { entries: [], counters }
  const announced = conditionOf(state, now, settings)
  const { overall, stale, blind } = announced
  const told = before.announced
  // Found by a poll, or by time alone: only the latest possible time is known.
  const notAfter = isoTime(now)
  const since = told.stale ? undefined : staleSince(draft)
  if (stale && !told.stale) entries.push({ type: 'stale', via, ...since, notAfter })
  if (blind && !told.blind) entries.push({ type: 'blind', via, notAfter })
  // Also if no write came while it was stale: the log must not claim a time that nothing proves.
  if (!stale && !blind && (told.stale || told.blind || since !== undefined)) {
    entries.push({ type: 'recovered', via, ...since, notAfter })
  }
  if (overall !== told.overall) {
    const dated = datedLike(entries, overall) ?? { via, notAfter }
    entries.push({ type: 'overall', from: told.overall, to: overall, ...dated })
    count(draft, 'transitions')
  }
  if (state === before && entries.length === 0) return { entries: [], counters }
  return {
    state: { ...state, announced, spent: countSpent(before, now, settings) },
    entries: entries.map((entry) => ({ ...entry, overall })),
    counters,
  }
}

/** Since when a node announced as LOCKED has been stale; undefined if it has not. */
function staleSince({ before, now, settings }: Draft): { notBefore: string } | undefined {
  if (before.announced.overall !== 'LOCKED') return
  const silent = before.clocks.filter((clock) => isDeciding(clock) && isStale(clock, now, settings))
  if (silent.length === 0 || conditionOf(before, now, settings).overall !== 'UNKNOWN') return
  const times = silent.map(({ confirmedAt }) => milliseconds(confirmedAt) + settings.staleAfterMs)
  const since = Math.min(...times)
  return since <= now ? { notBefore: isoTime(since) } : undefined
}

type Finished = { readonly state?: NodeState; readonly entries: readonly NewEntry[] }

/** A change of the node takes its time and source from the change of the clock that caused it. */
function datedLike(entries: readonly DraftEntry[], overall: string) {
  const deciding = entries.filter(
    ({ type, kind }) => (type === 'changed' || type === 'suspect') && OVERALL_KINDS.has(kind ?? ''),
  )
  const cause = deciding.findLast(({ to }) => to === overall) ?? deciding.at(-1)
  if (cause === undefined) return undefined
  const { via, at, notBefore, notAfter } = cause
  return { via, at, notBefore, notAfter }
}

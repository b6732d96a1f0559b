import type { Streak } from '#shared/state/document.ts'
import { milliseconds } from '#shared/time.ts'
import { shownValue } from './clock.ts'
import { addEntry, type Draft, type MergeSettings, patchNode, type Pull, putClock } from './draft.ts'
import { isAbsent, isOtherConfirmed, OVERALL_KINDS } from './overall.ts'

/**
 * Retires clocks that a poll no longer names while it names others of the kind (design.md §3, rule 10). Being named,
 * even without a reading, keeps a clock from being retired.
 */
export function retireUnnamed(draft: Draft, pull: Pull): void {
  const { settings, state } = draft
  const names = new Set([...pull.observations, ...pull.named].map(({ instance }) => instance))
  if (names.size === 0) return
  for (const clock of state.clocks) {
    if (clock.kind !== pull.kind || clock.retired) continue
    if (names.has(clock.instance)) {
      if (clock.unnamed !== undefined) putClock(draft, { ...clock, unnamed: undefined })
      continue
    }
    const unnamed = extended(clock.unnamed, pull.sentAt, settings)
    const retired = lengthOf(unnamed.since, pull.sentAt) >= settings.staleAfterMs
    if (unnamed !== clock.unnamed || retired) putClock(draft, { ...clock, unnamed, retired })
    if (retired) addEntry(draft, 'retired', clock, { from: shownValue(clock), notAfter: pull.receivedAt })
  }
}

/** Records since when pulls of a deciding kind have named no clock of it while the other kind was confirmed. */
export function noteAbsence(draft: Draft, { kind, observations, named, none, sentAt }: Pull): void {
  const { settings, state } = draft
  if (!OVERALL_KINDS.has(kind)) return
  const { [kind]: absence, ...others } = state.absent
  const sent = milliseconds(sentAt)
  const isNamed = observations.length > 0 || named.length > 0
  if (isNamed || (none && !isOtherConfirmed(state, kind, sent, settings))) {
    if (absence !== undefined) patchNode(draft, { absent: others })
    return
  }
  if (!none) return
  const next = extended(absence, sentAt, settings)
  const proves = lengthOf(next.since, sentAt) >= settings.staleAfterMs
  if (proves && !isAbsent(state, kind, sent, settings)) {
    patchNode(draft, { absent: { ...others, [kind]: { ...next, confirmedAt: sentAt } } })
  } else if (next !== absence) {
    patchNode(draft, { absent: { ...others, [kind]: next } })
  }
}

/**
 * Extends a span by a pull sent at `at`; the same object where that is not worth a write. After a gap as long as what
 * the span is to prove it restarts: nothing is known of the time in between.
 */
function extended(span: Streak | undefined, at: string, { staleAfterMs }: MergeSettings): Streak {
  const pause = span === undefined ? Number.POSITIVE_INFINITY : lengthOf(span.confirmedAt, at)
  if (span === undefined || pause >= staleAfterMs) return { since: at, confirmedAt: at }
  return pause >= staleAfterMs / 3 ? { ...span, confirmedAt: at } : span
}

function lengthOf(since: string, at: string): number {
  return milliseconds(at) - milliseconds(since)
}

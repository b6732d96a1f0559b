import { milliseconds } from '#shared/time.ts'
import { shownValue } from './clock.ts'
import { addEntry, type Draft, patchNode, putClock } from './draft.ts'
import type { Span } from '#shared/state/document.ts'
import { isAbsent, isOtherConfirmed, OVERALL_KINDS } from './overall.ts'
import type { Pull } from './pulled.ts'
import type { MergeSettings } from './settings.ts'

/**
 * Retires clocks that a poll's pulls do not name while they name another of the kind (design.md §3, rule 10). Being
 * named, even without a reading, is enough not to be retired.
 */
export function retireUnnamed(draft: Draft, pull: Pull, settings: MergeSettings): void {
  const names = new Set([...pull.observations, ...pull.named].map((clock) => clock.instance))
  if (names.size === 0) return
  for (const clock of draft.clocks) {
    if (clock.kind !== pull.kind || clock.retired) continue
    if (names.has(clock.instance)) {
      const { unnamed, ...rest } = clock
      if (unnamed !== undefined) putClock(draft, rest)
      continue
    }
    const unnamed = extended(clock.unnamed, pull.sentAt, settings)
    const retired = lengthOf(unnamed.since, pull.sentAt) >= settings.staleAfterMs
    if (unnamed !== clock.unnamed || retired) putClock(draft, { ...clock, unnamed, retired })
    if (!retired) continue
    const { kind, instance } = clock
    const from = shownValue(clock)
    addEntry(draft, { type: 'retired', kind, instance, from, notAfter: pull.receivedAt, via: pull.via })
  }
}

/** Remembers for how long pulls of a deciding kind have named no clock of it while the other kind was confirmed. */
export function noteAbsence(draft: Draft, pull: Pull, settings: MergeSettings): void {
  const { kind } = pull
  if (!OVERALL_KINDS.has(kind)) return
  const { [kind]: absence, ...others } = draft.state.absent
  const named = pull.observations.length > 0 || pull.named.length > 0
  const sent = milliseconds(pull.sentAt)
  const state = { clocks: draft.clocks, absent: draft.state.absent }
  if (named || (pull.none && !isOtherConfirmed(state, kind, sent, settings))) {
    if (absence !== undefined) patchNode(draft, { absent: others })
    return
  }
  if (!pull.none) return
  const next = extended(absence, pull.sentAt, settings)
  const proves = lengthOf(next.since, pull.sentAt) >= settings.staleAfterMs
  if (proves && !isAbsent(state, kind, sent, settings)) {
    patchNode(draft, { absent: { ...others, [kind]: { ...next, confirmedAt: pull.sentAt } } })
  } else if (next !== absence) {
    patchNode(draft, { absent: { ...others, [kind]: next } })
  }
}

/**
 * What a pull at `at` makes of a span: the same object where that is not worth a write. After a pause as long as
 * what the span is to prove, nobody knows what was in between: it begins anew.
 */
function extended(span: Span | undefined, at: string, { staleAfterMs }: MergeSettings): Span {
  const pause = span === undefined ? Number.POSITIVE_INFINITY : lengthOf(span.confirmedAt, at)
  if (span === undefined || pause >= staleAfterMs) return { since: at, confirmedAt: at }
  return pause >= staleAfterMs / 3 ? { ...span, confirmedAt: at } : span
}

function lengthOf(since: string, at: string): number {
  return milliseconds(at) - milliseconds(since)
}

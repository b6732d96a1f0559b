import { becauseOf } from '#shared/state/because.ts'
import type { LogEntry } from '#shared/state/document.ts'
import type { NodeView } from '#shared/state/view.ts'

/** The reasons of our Kubernetes Events. */
export const EVENT_REASONS = [
  'PTPFreerun',
  'PTPHoldover',
  'PTPRecovered',
  'PTPEventsMissed',
  'PTPTaintWithheld',
] as const
export type EventReason = (typeof EVENT_REASONS)[number]

/**
 * Sorts log entries, oldest first, by the reason to announce them for. `ailing`: whether the node has been in FREERUN
 * or HOLDOVER since it was last LOCKED, before and after these entries.
 */
export function sortOut(entries: readonly LogEntry[], before: boolean) {
  const untold = new Map<EventReason, LogEntry[]>()
  let ailing = before
  for (const entry of entries) {
    const reason = reasonFor(entry, ailing)
    if (reason !== undefined) untold.set(reason, [...(untold.get(reason) ?? []), entry])
    if (reason === 'PTPFreerun' || reason === 'PTPHoldover') ailing = true
    else if (entry.type === 'overall' && entry.to === 'LOCKED') ailing = false
  }
  return { untold, ailing }
}

function reasonFor({ type, from, to }: LogEntry, ailing: boolean): EventReason | undefined {
  if (type === 'missed') return 'PTPEventsMissed'
  if (type !== 'overall') return undefined
  if (to === 'FREERUN') return 'PTPFreerun'
  if (to === 'HOLDOVER') return 'PTPHoldover'
  // A node just discovered, or silent for a while, has not recovered from anything.
  return to === 'LOCKED' && (ailing || from !== 'UNKNOWN') ? 'PTPRecovered' : undefined
}

/** The message for the newest of these. The cause of the current state is added if that entry led to it. */
export function eventMessage(entries: readonly LogEntry[], view: NodeView): string {
  const { type, kind, instance, from, to, at, notBefore, notAfter } = entries.at(-1) ?? {}
  const range = notBefore === undefined ? `by ${notAfter}` : `between ${notBefore} and ${notAfter}`
  const when = at === undefined ? range : `at ${at}`
  if (type === 'missed') {
    return `No event told that ${kind} of ${instance} went from ${from} to ${to} ${when}; a poll found it`
  }
  const because = to === view.overall ? becauseOf(view) : ''
  return `PTP state of the node went from ${from} to ${to} ${when}${because && `: ${because}`}`
}

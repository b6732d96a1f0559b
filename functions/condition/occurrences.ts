import type { LogEntry } from '#shared/state/document.ts'

/** What Kubernetes Events of Nodes are told of. */
export const EVENT_REASONS = [
  'PTPFreerun',
  'PTPHoldover',
  'PTPRecovered',
  'PTPEventsMissed',
  'PTPTaintWithheld',
] as const
export type EventReason = (typeof EVENT_REASONS)[number]

/** Log entries of one reason, oldest first; at least one. */
export type Untold = { readonly reason: EventReason; readonly entries: readonly LogEntry[] }

export type Because = { readonly overall: string; readonly because: string }

/**
 * What log entries are told as. `ailing`: whether the node had free-run or been in HOLDOVER before them since it was
 * last LOCKED, and after them.
 */
export function sortOut(
  entries: readonly LogEntry[],
  before: boolean,
): { untold: Untold[]; ailing: boolean } {
  const byReason = new Map<EventReason, LogEntry[]>()
  let ailing = before
  for (const entry of entries) {
    const reason = reasonFor(entry, ailing)
    if (reason !== undefined) byReason.set(reason, [...(byReason.get(reason) ?? []), entry])
    if (reason === 'PTPFreerun' || reason === 'PTPHoldover') ailing = true
    else if (entry.type === 'overall' && entry.to === 'LOCKED') ailing = false
  }
  return { untold: [...byReason].map(([reason, some]) => ({ reason, entries: some })), ailing }
}

function reasonFor({ type, from, to }: LogEntry, ailing: boolean): EventReason | undefined {
  if (type === 'missed') return 'PTPEventsMissed'
  if (type !== 'overall') return undefined
  if (to === 'FREERUN') return 'PTPFreerun'
  if (to === 'HOLDOVER') return 'PTPHoldover'
  // A node that we have just come to know, or that was silent for a while, has recovered from nothing.
  return to === 'LOCKED' && (ailing || from !== 'UNKNOWN') ? 'PTPRecovered' : undefined
}

/** `because`: why the node is in its state of now, which goes with the entry that brought it there. */
export function messageOf(entry: LogEntry, { overall, because }: Because): string {
  const { type, kind, instance, from, to, at, notBefore, notAfter } = entry
  const range = notBefore === undefined ? `by ${notAfter}` : `between ${notBefore} and ${notAfter}`
  const when = at === undefined ? range : `at ${at}`
  if (type === 'missed') {
    return `No event told that ${kind} of ${instance} went from ${from} to ${to} ${when}; a poll found it`
  }
  const why = to === overall && because !== '' ? `: ${because}` : ''
  return `PTP state of the node went from ${from} to ${to} ${when}${why}`
}

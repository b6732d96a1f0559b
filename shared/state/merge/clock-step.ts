import { compareTimes, milliseconds } from '#shared/time.ts'
import { count, type Draft, putClock } from './draft.ts'
import type { Pull } from './pulled.ts'
import type { MergeSettings } from './settings.ts'

/**
 * Rule 3: a pull whose own time is earlier than one that we had stored before we asked proves that the publisher's
 * clock was set back: the order of pushes starts anew. A push must have come a settle time before, so that our
 * own hosts' clocks need not agree to better than that.
 */
export function detectClockStep(draft: Draft, pull: Pull, settings: MergeSettings): boolean {
  // What comes while a create is under way may be a late push in place of the initial notification: no proof.
  const at = pull.queryTime && pull.via === 'poll' ? pull.observations[0]?.at : undefined
  if (at === undefined) return false
  const sent = milliseconds(pull.sentAt)
  const isAhead = (stored: { at?: string | undefined; receivedAt: string } | undefined) =>
    stored?.at !== undefined &&
    milliseconds(stored.receivedAt) + settings.settleMs <= sent &&
    compareTimes(stored.at, at) > 0
  const ahead = draft.clocks.filter((clock) => isAhead(clock.pushes[0]) || isAhead(clock.pull))
  if (ahead.length === 0) return false
  for (const clock of ahead) {
    const { pull: _, anchor: __, ...rest } = clock
    putClock(draft, { ...rest, pushes: [] })
  }
  count(draft, 'clockSteps')
  return true
}

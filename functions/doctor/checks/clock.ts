import type { Answer } from '#shared/http/client.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import { amount, type Exam, type Verdict } from '../exam.ts'
import { FIX } from '../words.ts'

/** A publisher's clock this far from ours is a warning, or a failure. Milliseconds. */
const WARNING_MS = 2_000
const FAILED_MS = 60_000

/**
 * Compares the publisher's clock with ours: by the `time` of CurrentState, which is the time of the question
 * (protocol.md §3.4), else by the Date of an answer. StarlingX's times are those of the last change (starlingx.md).
 */
export function checkClock({ client, health, pulls }: Exam): Verdict {
  const { queryTime } = client
  const times = pulls.flatMap(({ said }) => {
    const at = said?.readings?.observations[0]?.at
    return said && at ? [offset(Number(nanoseconds(at) / 1_000_000n), said, 'time of CurrentState')] : []
  })
  const [timed] = times.sort((a, b) => (queryTime ? a.withinMs - b.withinMs : b.ms - a.ms))
  const date = Date.parse(health.date ?? '')
  // It has whole seconds, cut.
  const dated = Number.isNaN(date) ? undefined : offset(date + 500, health, 'Date of its answer', 500)
  const found = queryTime ? (timed ?? dated) : dated
  if (found === undefined) return ['skipped', 'none of its answers has a time']
  const { ms, withinMs, by } = found
  const apart = Math.abs(ms)
  const differs =
    apart > Math.max(withinMs, 1_000)
      ? `it is ${amount(apart)} ${ms > 0 ? 'ahead of' : 'behind'} ours`
      : `it agrees with ours within ${amount(Math.max(withinMs, apart))}`
  // Only times in the future tell a time zone from the age of a state.
  const zoneMs = queryTime || timed === undefined || dated === undefined ? 0 : timed.ms - dated.ms
  const local = `; the times in its events are ${amount(zoneMs)} ahead: local time written as UTC`
  const result = `${differs}, by the ${by}${zoneMs < FAILED_MS ? '' : local}`
  const off = apart - withinMs
  if (off < WARNING_MS) return ['ok', result]
  return [off < FAILED_MS ? 'warning' : 'failed', result, FIX.clock]
}

/** How far the publisher's clock is ahead of ours, and how wrong that may be, in ms: its time lies between our two. */
function offset(
  theirs: number,
  { sentAt, receivedAt }: Pick<Answer, 'sentAt' | 'receivedAt'>,
  by: string,
  cutMs = 0,
) {
  const [sent, received] = [milliseconds(sentAt), milliseconds(receivedAt)]
  return { ms: theirs - (sent + received) / 2, withinMs: (received - sent) / 2 + 1 + cutMs, by }
}

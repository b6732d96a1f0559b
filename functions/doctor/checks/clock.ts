import type { Answer } from '#shared/http/client.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import type { Pulled, Reached } from '../exam.ts'
import { amount, type Verdict } from '../report.ts'
import { FIX } from '../words.ts'

/** A publisher's clock this far from ours is a warning, or a failure. Milliseconds. */
const WARNING_MS = 2_000
const FAILED_MS = 60_000

/** How far the publisher's clock is ahead of ours, and how wrong that may be, in ms. */
type Offset = { readonly ms: number; readonly withinMs: number; readonly by: string }

/**
 * Compares the publisher's clock with ours: by the `time` of CurrentState, which is the time of the question
 * (protocol.md §3.4), else by the Date of an answer. StarlingX's times are those of the last change (starlingx.md).
 */
export function checkClock({ client, health }: Reached, pulls: readonly Pulled[]): Verdict {
  const { queryTime } = client
  const [timed] = pulls.flatMap(byTime).sort((a, b) => (queryTime ? a.withinMs - b.withinMs : b.ms - a.ms))
  const dated = byDate(health)
  const offset = queryTime ? (timed ?? dated) : dated
  if (offset === undefined) return ['skipped', 'none of its answers has a time']
  const { ms, withinMs, by } = offset
  const apart = Math.abs(ms)
  const found =
    apart > Math.max(withinMs, 1_000)
      ? `it is ${amount(apart)} ${ms > 0 ? 'ahead of' : 'behind'} ours`
      : `it agrees with ours within ${amount(Math.max(withinMs, apart))}`
  // Only times in the future tell a time zone from the age of a state.
  const zoneMs = queryTime || timed === undefined || dated === undefined ? 0 : timed.ms - dated.ms
  const zone =
    zoneMs < FAILED_MS
      ? ''
      : `; the times in its events are ${amount(zoneMs)} ahead: local time written as UTC`
  const result = `${found}, by the ${by}${zone}`
  const off = apart - withinMs
  if (off < WARNING_MS) return ['ok', result]
  return [off < FAILED_MS ? 'warning' : 'failed', result, FIX.clock]
}

function byTime({ answer }: Pulled): Offset[] {
  const at = answer.outcome === 'answered' ? answer.readings?.observations[0]?.at : undefined
  if (at === undefined || answer.outcome !== 'answered') return []
  return [{ ...around(Number(nanoseconds(at) / 1_000_000n), answer), by: 'time of CurrentState' }]
}

function byDate(answer: Answer): Offset | undefined {
  const date = Date.parse(answer.date ?? '')
  if (Number.isNaN(date)) return undefined
  // It has whole seconds, cut.
  const { ms, withinMs } = around(date + 500, answer)
  return { ms, withinMs: withinMs + 500, by: 'Date of its answer' }
}

/** The publisher's time lies somewhere between our two. */
function around(theirs: number, { sentAt, receivedAt }: Pick<Answer, 'sentAt' | 'receivedAt'>) {
  const [sent, received] = [milliseconds(sentAt), milliseconds(receivedAt)]
  return { ms: theirs - (sent + received) / 2, withinMs: (received - sent) / 2 + 1 }
}

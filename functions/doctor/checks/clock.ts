import type { Answer } from '#shared/http/client.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import type { Reached } from '../exam.ts'
import type { Verdict } from '../report.ts'
import type { Pulled } from './state.ts'

/** A publisher's clock this far from ours is a warning, or a failure. Milliseconds. */
const WARNING_MS = 2_000
const FAILED_MS = 60_000

const FIX =
  'If all publishers differ alike, set the clock of this machine. Otherwise the OS clock of the node is not disciplined (phc2sys, chronyd). States stay right, as each publisher is ordered by its own clock, but times in the history are wrong'

/** How far the publisher's clock is ahead of ours, and how wrong that may be, in ms. */
type Offset = { readonly ms: number; readonly withinMs: number; readonly by: string }

/**
 * Compares the publisher's clock with ours: by the `time` of CurrentState, which is the time of the question
 * (protocol.md §3.4), else by the Date of an answer. StarlingX's times are those of the last change (starlingx.md).
 */
export function checkClock({ client, health }: Reached, pulls: readonly Pulled[]): Verdict {
  const { queryTime } = client
  const timed = pulls
    .flatMap(byTime)
    .sort((a, b) => (queryTime ? a.withinMs - b.withinMs : b.ms - a.ms))
    .at(0)
  const dated = byDate(health)
  const offset = queryTime ? (timed ?? dated) : dated
  if (offset === undefined) return ['skipped', 'none of its answers has a time']
  const { ms, withinMs, by } = offset
  const differs = Math.abs(ms) > Math.max(withinMs, 1_000)
  const found = differs
    ? `it is ${amount(Math.abs(ms))} ${ms > 0 ? 'ahead of' : 'behind'} ours`
    : `it agrees with ours within ${amount(Math.max(withinMs, Math.abs(ms)))}`
  // Only times in the future tell a time zone from the age of a state.
  const zoneMs = queryTime || timed === undefined || dated === undefined ? 0 : timed.ms - dated.ms
  const isLocal = zoneMs >= FAILED_MS
  const zone = isLocal
    ? `; the times in its events are ${amount(zoneMs)} ahead: local time written as UTC`
    : ''
  const result = `${found}, by the ${by}${zone}`
  const off = Math.abs(ms) - withinMs
  if (off >= WARNING_MS) return [off >= FAILED_MS ? 'failed' : 'warning', result, FIX]
  return ['ok', result]
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

function amount(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

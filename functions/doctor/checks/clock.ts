import type { CurrentState } from '#shared/publishers/dialects/client.ts'
import type { Answer } from '#shared/http/exchange.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import type { Report } from '../report.ts'
import type { Pulled } from './pulls.ts'
import type { Reached } from './reach.ts'

/** How far a publisher's clock may be from ours before it is remarked upon, and before it is wrong, in ms. */
const REMARKABLE_MS = 2_000
const WRONG_MS = 60_000

/** How far the publisher's clock is ahead of ours, and how wrong that may be, in ms. */
type Offset = { readonly ms: number; readonly withinMs: number; readonly by: string }

/**
 * Compares the publisher's clock with ours: by the `time` of CurrentState, which is the time of the question
 * (protocol.md §3.4), else by the Date of an answer. StarlingX's times are those of the last change (starlingx.md).
 */
export function checkClock(report: Report, { client, health }: Reached, pulls: readonly Pulled[]): void {
  const dated = byDate(health)
  const order = client.queryTime
    ? (a: Offset, b: Offset) => a.withinMs - b.withinMs
    : (a: Offset, b: Offset) => b.ms - a.ms
  const timed = pulls.flatMap(byTime).sort(order)[0]
  const offset = client.queryTime ? (timed ?? dated) : dated
  const asked = offset?.by ?? 'Date of the answers, time of CurrentState'
  if (offset === undefined) {
    report.skipped('clock', asked, 'none of its answers has a time')
    return
  }
  const came = `${shown(offset)}${zoneOf(client.queryTime, timed, dated)}`
  const off = Math.max(0, Math.abs(offset.ms) - offset.withinMs)
  const todo =
    'If all publishers say the same, this machine is wrong: set its clock. Else the node is: its OS clock is not disciplined (phc2sys, chronyd). States stay right, since each publisher is ordered by its own clock, but times in the history are not'
  if (off >= WRONG_MS) report.failed('clock', asked, came, todo)
  else if (off >= REMARKABLE_MS) report.warning('clock', asked, came, todo)
  else report.ok('clock', asked, came)
}

function byTime(pulled: Pulled): Offset[] {
  const at = pulled.outcome === 'answered' ? pulled.read?.observations[0]?.at : undefined
  if (at === undefined || pulled.outcome !== 'answered') return []
  return [{ ...around(Number(nanoseconds(at) / 1_000_000n), pulled.answer), by: 'time of CurrentState' }]
}

function byDate(answer: Answer): Offset | undefined {
  const date = answer.date === undefined ? Number.NaN : Date.parse(answer.date)
  if (Number.isNaN(date)) return undefined
  // It has whole seconds, cut.
  const { ms, withinMs } = around(date + 500, answer)
  return { ms, withinMs: withinMs + 500, by: 'Date of its answer' }
}

/** The publisher's time lies somewhere between our two. */
function around(theirs: number, { sentAt, receivedAt }: Pick<CurrentState, 'sentAt' | 'receivedAt'>) {
  const [sent, received] = [milliseconds(sentAt), milliseconds(receivedAt)]
  return { ms: theirs - (sent + received) / 2, withinMs: (received - sent) / 2 + 1 }
}

function shown({ ms, withinMs }: Offset): string {
  if (Math.abs(ms) <= Math.max(withinMs, 1_000))
    return `it agrees with ours (within ${amount(Math.max(withinMs, Math.abs(ms)))})`
  return `it is ${amount(Math.abs(ms))} ${ms > 0 ? 'ahead of' : 'behind'} ours`
}

function amount(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

/** Only times in the future tell a zone from the age of a state. */
function zoneOf(isQueryTime: boolean, timed: Offset | undefined, dated: Offset | undefined): string {
  if (isQueryTime || timed === undefined || dated === undefined) return ''
  const ahead = timed.ms - dated.ms
  return ahead < WRONG_MS
    ? ''
    : `; the times in its events are ${amount(ahead)} ahead of it: local time, written as UTC`
}

import type { Observation } from '#shared/events/observation.ts'
import { normalise } from '#shared/events/normalise.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import type { CurrentState } from './client.ts'

/**
 * For some 10 s after its start StarlingX's notification service has looked at no clock, and gives start values: the
 * words below, all state kinds with one time to the microsecond (starlingx.md). They are no reading. A clock that
 * runs free keeps them for as long as it does, so they are believed once they are older than this, in ms.
 */
const START_MS = 20_000

/** Start times are local, written as UTC: zones are whole quarters of an hour from it. */
const QUARTER_MS = 900_000

const WORDS: Readonly<Record<string, string>> = {
  'lock-state': 'FREERUN',
  'os-clock-sync-state': 'FREERUN',
  'sync-state': 'FREERUN',
  'gnss-sync-status': 'FAILURE-NOFIX',
  'synce-lock-state': 'UNKNOWN',
}

/** Kinds of numbers have the time of the question until their first change. */
const NUMBERS: Readonly<Record<string, string>> = { 'clock-class': '248', 'synce-clock-quality': '255' }

/** A reading that is spelt as a start value. */
export type StartLike = {
  readonly kind: string
  /** Undefined for kinds of numbers. */
  readonly at: string | undefined
}

/** The first reading of an answer that may be a start value by its word and its age. */
export function startLikeIn(state: CurrentState, node: string): StartLike | undefined {
  if (state.outcome === 'none') return undefined
  const { receivedAt } = state
  for (const reading of readingsIn(state.body, { node, receivedAt })) {
    const { kind, at, metrics } = reading
    const number = Object.hasOwn(NUMBERS, kind) ? NUMBERS[kind] : undefined
    if (number !== undefined && Object.values(metrics).includes(number)) return { kind, at: undefined }
    if (reading.state === WORDS[kind] && isRecent(at, milliseconds(receivedAt))) return { kind, at }
  }
  return undefined
}

function isRecent(at: string, now: number): boolean {
  // Half of a second before: the two clocks need not agree to the millisecond.
  const age = now - Number(nanoseconds(at) / 1_000_000n) + 500
  return ((age % QUARTER_MS) + QUARTER_MS) % QUARTER_MS < START_MS
}

function readingsIn(body: string, about: { node: string; receivedAt: string }): readonly Observation[] {
  try {
    return normalise(JSON.parse(body), { ...about, via: 'poll' }).observations
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}

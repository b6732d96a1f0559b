import { milliseconds } from '#shared/time.ts'
import { isMissable, sameValue, shownValue } from './clock.ts'
import type { ClockState, Reading } from '#shared/state/document.ts'
import type { Pull } from './pulled.ts'
import type { MergeSettings } from './settings.ts'

export type Disagreement = {
  readonly kind: string
  readonly instance: string
  readonly pushed: string
  readonly pulled: string
}

/** A newest push that pulls have contradicted for longer than the settle time (protocol.md §2.6). */
export function disagreement(
  clock: ClockState | undefined,
  readings: readonly [Reading, ...Reading[]],
  pull: Pull,
  settings: MergeSettings,
): Disagreement | undefined {
  const newest = clock?.pushes[0]
  if (clock === undefined || newest === undefined) return undefined
  if (readings.length > 1 || clock.contested || !isMissable(clock.kind)) return undefined
  // The pull that first differed: one from before the push differs from it as a matter of course.
  const first = clock.pull
  if (first === undefined || sameValue(newest, first)) return undefined
  const asked = milliseconds(first.sentAt)
  if (asked < milliseconds(newest.receivedAt) || sameValue(newest, readings[0])) return undefined
  if (milliseconds(pull.sentAt) - asked < settings.settleMs) return undefined
  const { kind, instance } = clock
  return { kind, instance, pushed: shownValue(newest), pulled: shownValue(readings[0]) }
}

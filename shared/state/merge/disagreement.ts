import type { ClockState } from '#shared/state/document.ts'
import { milliseconds } from '#shared/time.ts'
import { isMissable, sameValue, shownValue } from './clock.ts'
import type { Name } from './draft.ts'
import type { PullAnswer } from './transition.ts'

export type Disagreement = Name & { readonly pushed: string; readonly pulled: string }

/** The newest push, if pulls have contradicted it for longer than the settle time (protocol.md §2.6). */
export function disagreement(
  clock: ClockState,
  { draft, pull, base, contested }: PullAnswer,
): Disagreement[] {
  const { kind, instance } = clock
  const [newest] = clock.pushes
  // The first pull that differed. One from before the push is expected to differ.
  const first = clock.pull
  if (newest === undefined || first === undefined) return []
  if (contested || clock.contested || !isMissable(kind)) return []
  if (sameValue(newest, first) || sameValue(newest, base)) return []
  const sent = milliseconds(first.sentAt)
  if (sent < milliseconds(newest.receivedAt)) return []
  if (milliseconds(pull.sentAt) - sent < draft.settings.settleMs) return []
  return [{ kind, instance, pushed: shownValue(newest), pulled: shownValue(base) }]
}

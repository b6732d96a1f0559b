import type { NodeState } from '#shared/state/document.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import { conditionOf, type Overall } from '#shared/state/merge/overall.ts'
import { spentBy, turnsOf } from '#shared/state/merge/spent.ts'
import { milliseconds } from '#shared/time.ts'

type Seconds = Record<Overall, number>

/** The whole seconds of a node in each state, as a counter: it never falls. */
export type SecondsInState = {
  /** At `now` (milliseconds), no later than {@link nextTurn} of the document. */
  at(now: number): Readonly<Seconds>
  /** Which document counts, and how far it was shown. */
  readonly incarnation: string
  readonly shown: Seconds
}

/**
 * Counts on from the document that was read at `now` (milliseconds), `before` being what counted until then. It is
 * behind by SETTLE_SECONDS, by which our hosts' clocks may differ: else what one of them writes would take back what
 * was counted here, and the loss would show once this process starts again.
 */
export function secondsInState(
  state: NodeState,
  now: number,
  settings: MergeSettings,
  before: SecondsInState | undefined,
): SecondsInState {
  const { incarnation } = state
  const isSame = before?.incarnation === incarnation
  const shown = isSame ? before.shown : { FREERUN: 0, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0 }
  const written = state.spent === undefined ? now : milliseconds(state.spent.until)
  const from = Math.max(written, now - settings.settleMs)
  const spent = spentBy(state, from, settings)
  const word = conditionOf(state, from, settings).overall
  return {
    incarnation,
    shown,
    at(time) {
      const running = Math.max(0, time - settings.settleMs - from)
      for (const each of STATES) {
        const seconds = Math.floor((spent[each] + (each === word ? running : 0)) / 1000)
        shown[each] = Math.max(shown[each], seconds)
      }
      return shown
    },
  }
}

const STATES = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'] as const

/** When time alone next changes what is said of a node, or in which state its seconds are counted, in milliseconds. */
export function nextTurn(state: NodeState, now: number, settings: MergeSettings): number {
  const turns = turnsOf(state, settings)
  const counted = turns.map((turn) => turn + settings.settleMs)
  return Math.min(...[...turns, ...counted].filter((time) => time > now))
}

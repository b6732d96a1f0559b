import { OVERALL_KINDS } from '#shared/state/merge/overall.ts'
import type { NodeView } from '#shared/state/view.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'

type Clock = NodeView['resources'][number]

/** Why a node is in its state: a phrase for people, and the clock that decides, or the kind that has no clock. */
type Cause = {
  readonly because: string
  readonly kind?: string | undefined
  readonly instance?: string | undefined
}

/** `lock-state of ens1f0 is FREERUN`; empty for a LOCKED node. */
export function becauseOf(view: NodeView): string {
  return causeOf(view).because
}

/** {@link becauseOf}, and which clock it is. */
export function causeOf(view: NodeView): Cause {
  const { overall, resources } = view
  if (overall === 'LOCKED') return { because: '' }
  const deciding = resources.filter(({ kind }) => OVERALL_KINDS.has(kind))
  const by = ({ kind, instance }: Clock, because: string): Cause => ({ kind, instance, because })
  if (overall !== 'UNKNOWN') {
    const worst = deciding.find(({ state }) => state === overall)
    if (worst === undefined) return { because: '' }
    return by(worst, `${named(worst)} is ${overall}${isDoubted(view, worst) ? ', unconfirmed' : ''}`)
  }
  if (view.damaged !== undefined) return { because: view.damaged }
  if (view.blind) return { because: 'no subscription and no poll reaches us' }
  for (const clock of deciding) {
    const { suspect } = clock
    if (suspect) return by(clock, `${named(clock)} was told ${suspect.told}, too late to be believed`)
  }
  const stale = deciding.find((clock) => clock.stale)
  if (stale !== undefined) {
    return by(stale, `nothing has confirmed ${named(stale)} since ${stale.confirmedAt.slice(11, 19)} UTC`)
  }
  const unknown = deciding.find(({ state }) => state !== 'LOCKED')
  if (unknown !== undefined) return by(unknown, `${named(unknown)} is ${unknown.state ?? 'unknown'}`)
  const missing = [...OVERALL_KINDS].filter((kind) => !deciding.some((clock) => clock.kind === kind))
  return { kind: missing[0], because: `no ${missing.join(', no ')} known yet` }
}

const named = ({ kind, instance }: Clock) => `${kind} of ${instance}`

/** Whether a clock may be in another state by now: stale, suspect, or of a blind node. */
export function isDoubted({ blind }: NodeView, { stale, suspect }: Clock): boolean {
  return blind || stale || suspect !== null
}

/** When a node's overall state began, in milliseconds. `orBefore`: no push has dated it. */
type Began = { readonly at: number; readonly orBefore: boolean }

/**
 * A node is LOCKED since the last of its deciding clocks is, and in a worse state since the first of them is. Undefined
 * if no clock is in the state of the node (UNKNOWN because a clock is missing or silent).
 */
export function beganOf(view: NodeView): Began | undefined {
  const { overall, resources } = view
  const isLocked = overall === 'LOCKED'
  const times = resources
    .filter(({ kind, state }) => OVERALL_KINDS.has(kind) && state === overall)
    .filter((clock) => !isLocked || !isDoubted(view, clock))
    .flatMap(({ since, notAfter }): Began[] => {
      if (since !== null) return [{ at: Number(nanoseconds(since) / 1_000_000n), orBefore: false }]
      return notAfter === null ? [] : [{ at: milliseconds(notAfter), orBefore: true }]
    })
    .sort((a, b) => a.at - b.at)
  return isLocked ? times.at(-1) : times[0]
}

import { OVERALL_KINDS } from '#shared/state/merge/overall.ts'
import type { NodeView } from '#shared/state/view.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'

/** `lock-state of ens1f0 is FREERUN`; for LOCKED nothing need be said. */
export function becauseOf(view: NodeView): string {
  const { overall, resources } = view
  if (overall === 'LOCKED') return ''
  const deciding = resources.filter(({ kind }) => OVERALL_KINDS.has(kind))
  const named = (clock: NodeView['resources'][number]) => `${clock.kind} of ${clock.instance}`
  if (overall !== 'UNKNOWN') {
    const worst = deciding.find(({ state }) => state === overall)
    return worst === undefined
      ? ''
      : `${named(worst)} is ${overall}${isDoubted(view, worst) ? ', unconfirmed' : ''}`
  }
  if (view.blind) return 'no subscription and no poll reaches us'
  const suspect = deciding.find((clock) => clock.suspect !== null)
  if (suspect?.suspect) return `${named(suspect)} was told ${suspect.suspect.told}, too late to be believed`
  const stale = deciding.find((clock) => clock.stale)
  if (stale !== undefined)
    return `nothing has confirmed ${named(stale)} since ${stale.confirmedAt.slice(11, 19)} UTC`
  const unknown = deciding.find(({ state }) => state !== 'LOCKED')
  if (unknown !== undefined) return `${named(unknown)} is ${unknown.state ?? 'unknown'}`
  const missing = [...OVERALL_KINDS].filter((kind) => !deciding.some((clock) => clock.kind === kind))
  return `no ${missing.join(', no ')} known yet`
}

/** Whether a clock may well be in another state by now: stale, suspect, or of a blind node. */
export function isDoubted({ blind }: NodeView, { stale, suspect }: NodeView['resources'][number]): boolean {
  return blind || stale || suspect !== null
}

/** When a node's overall state began, in milliseconds. `orBefore`: no push has dated it. */
export type Began = { readonly at: number; readonly orBefore: boolean }

/**
 * By the clocks that decide: a node is LOCKED since the last of them is, and in a worse state since the first of them
 * is. Undefined where no clock is in the state of the node (UNKNOWN for lack of a clock, or because it is silent).
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

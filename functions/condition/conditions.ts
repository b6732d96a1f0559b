import { becauseOf, beganOf } from '#shared/state/because.ts'
import { OVERALL_KINDS } from '#shared/state/merge/overall.ts'
import type { NodeView } from '#shared/state/view.ts'

/** A condition of a Node (core/v1 NodeCondition). Times are in whole seconds, as the API server stores them. */
export type NodeCondition = {
  readonly type: string
  readonly status: string
  readonly reason?: string | undefined
  readonly message?: string | undefined
  readonly lastHeartbeatTime?: string | undefined
  readonly lastTransitionTime?: string | undefined
}

type Wanted = Required<Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>>

/** Our conditions; all others of a Node are left alone. */
export const CONDITION_TYPES: readonly string[] = [
  'ptp-watch.io/PTPSynchronized',
  'ptp-watch.io/PTPNotFreerunning',
]

/** The conditions for each state. What is not known to be good is Unknown, never True. */
const STATUSES = {
  LOCKED: ['True', 'True'],
  HOLDOVER: ['False', 'True'],
  FREERUN: ['False', 'False'],
  UNKNOWN: ['Unknown', 'Unknown'],
} as const

const both = (overall: NodeView['overall'], reason: string, message: string): Wanted[] =>
  CONDITION_TYPES.map((type, i) => ({ type, status: STATUSES[overall][i] ?? 'Unknown', reason, message }))

/** The conditions for a node's view: `FREERUN since 2026-11-28T15:00:00.000Z: lock-state of ens1f0 is FREERUN`. */
export function conditionsOf(view: NodeView): readonly Wanted[] {
  const began = beganOf(view)
  const because = becauseOf(view)
  const since = began && ` since ${new Date(began.at).toISOString()}${began.orBefore ? ' or earlier' : ''}`
  return both(view.overall, reasonOf(view), `${view.overall}${since ?? ''}${because && `: ${because}`}`)
}

/** The conditions of a Node whose state is unknown: no document, an unreadable one, or no store. */
export function unknownConditions(reason: 'NotWatched' | 'Unreadable' | 'StoreDown', message: string) {
  return both('UNKNOWN', reason, message)
}

function reasonOf({ overall, resources, blind }: NodeView): string {
  if (overall !== 'UNKNOWN') return { LOCKED: 'Locked', HOLDOVER: 'Holdover', FREERUN: 'Freerun' }[overall]
  const deciding = resources.filter(({ kind }) => OVERALL_KINDS.has(kind))
  if (blind) return 'Blind'
  if (deciding.some(({ suspect }) => suspect !== null)) return 'Suspect'
  return deciding.some(({ stale }) => stale) ? 'Stale' : 'Unknown'
}

/** How long a condition may stand after the store can no longer confirm it. Milliseconds. */
const VOUCHED_FOR_MS = 180_000

/**
 * Whether a Node has not been checked for so long that its conditions may be wrong. A heartbeat equally far in the
 * future proves nothing either: a host's clock jumped. `now` in milliseconds.
 */
export function isOutdated(current: readonly NodeCondition[], now: number): boolean {
  return current.some(
    ({ lastHeartbeatTime = '' }) => !(Math.abs(now - Date.parse(lastHeartbeatTime)) < VOUCHED_FOR_MS),
  )
}

/**
 * The conditions to patch, or undefined if `current` already has them all. With `heartbeat` there is always something
 * to patch: the time of our last check. A transition is a change of status. `now` in milliseconds.
 */
export function patchFor(
  current: readonly NodeCondition[],
  wanted: readonly Wanted[],
  now: number,
  { heartbeat }: { readonly heartbeat: boolean },
): NodeCondition[] | undefined {
  const time = secondsOf(now)
  const pairs = wanted.map((next) => ({ next, before: current.find(({ type }) => type === next.type) }))
  const isSaid = pairs.every(
    ({ next, before }) =>
      before?.status === next.status && before.reason === next.reason && before.message === next.message,
  )
  if (isSaid && !heartbeat) return undefined
  return pairs.map(({ next, before }) => ({
    ...next,
    lastHeartbeatTime: time,
    lastTransitionTime: (before?.status === next.status ? before.lastTransitionTime : undefined) ?? time,
  }))
}

/** A time in ms as the API server stores it, in whole seconds. */
export const secondsOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

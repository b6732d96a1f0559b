import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { emptyNodeState } from '#shared/state/document.ts'

/** A document with a value in every field, `seq` as given. */
export function document(node: string, seq = 0): NodeState {
  const at = '2026-11-23T03:48:28.489302008Z'
  const ours = '2026-11-23T03:48:28.489Z'
  const reading = { at, state: 'LOCKED', metrics: { offset: '-2' }, receivedAt: ours }
  return {
    ...emptyNodeState(node, 'incarnation-1'),
    seq,
    forwarded: 0,
    clocks: [
      {
        kind: 'lock-state',
        instance: 'ens5fx/master',
        state: 'LOCKED',
        metrics: { offset: '-2.16213e+06' },
        since: at,
        observedAt: at,
        receivedAt: ours,
        confirmedAt: ours,
        via: 'push',
        contested: false,
        retired: false,
        pushes: [reading],
        pushedAt: ours,
        pull: { ...reading, sentAt: ours },
        undated: { from: 'LOCKED', to: 'FREERUN', notAfter: ours, sentAt: ours },
      },
      {
        kind: 'clock-class',
        instance: 'ens5fx/master',
        state: null,
        metrics: { clockClass: '6' },
        since: null,
        observedAt: at,
        receivedAt: ours,
        confirmedAt: ours,
        via: 'poll',
        contested: true,
        retired: true,
        pushes: [],
      },
    ],
    absent: { 'lock-state': { since: ours, confirmedAt: ours } },
    publisher: { url: 'http://127.0.0.1:9043', dialect: 'red-hat-v2', reachable: true, checkedAt: ours },
    subscriptions: [
      { kind: 'lock-state', address: '/cluster/node/x/…', id: 'é', endpoint: 'http://x', confirmedAt: ours },
    ],
    pending: [{ kind: 'sync-state', requestedAt: ours }],
    quarantine: [{ receivedAt: ours, reason: 'no event', body: '"\u0000\\"\u2028😀' }],
  }
}

/** Log entries with the numbers `from` to `to`; `to` of each names its number. */
export function entries(from: number, to: number): LogEntry[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    seq: from + index,
    type: 'changed',
    kind: 'lock-state',
    instance: 'ens5fx/master',
    from: 'LOCKED',
    to: `n${from + index}`,
    via: 'push',
    overall: 'LOCKED',
  }))
}

/** The number of every entry, in the order given. */
export function numbers(log: readonly LogEntry[]): number[] {
  return log.map((entry) => entry.seq)
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}

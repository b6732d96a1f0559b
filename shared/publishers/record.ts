import type { NewEntry, NodeState, Subscription } from '#shared/state/node-state.ts'
import { emptyNodeState } from '#shared/state/node-state.ts'
import type { Change, Store } from '#shared/state/store.ts'
import { type Clock, isoTime, milliseconds } from '#shared/time.ts'

/** A pending entry is of no effect after this; longer creates have been given up (design.md §3, rule 9). */
const PENDING_MS = 10_000

/** The publisher part of a node's document, without the times. */
export type PublisherInfo = {
  readonly url: string
  /** Undefined where it could not be found out this time: what was known before stands. */
  readonly dialect: string | undefined
  readonly reachable: boolean
  readonly problem?: string | undefined
}

/** What the keeper writes into one node's document. Every method throws StoreError when the store is out of reach. */
export type Record = {
  read(): Promise<NodeState | undefined>
  /**
   * Before a create: a push of this kind is an initial notification from now on. `queryTime`: its time is that of the
   * question. The dialect is on record only at the end of a run, too late for a first one.
   */
  pending(kind: string, queryTime: boolean): Promise<void>
  /** After an answer to that create that made nothing. */
  answered(kind: string): Promise<void>
  /**
   * A subscription that was made or found; it answers a pending create too. `restored`: the document had one, and
   * the publisher did not any more.
   */
  held(subscription: Omit<Subscription, 'confirmedAt'>, options: { restored: boolean }): Promise<void>
  /** The end of a run: how the publisher is, and which of the kinds on record are still meant to be there. */
  finish(
    info: PublisherInfo,
    options: { confirmed: ReadonlySet<string>; keep: (subscription: Subscription) => boolean },
  ): Promise<void>
}

export type RecordDeps = {
  readonly store: Pick<Store, 'update' | 'read'>
  readonly clock: Clock
  /** The overall state of a document now, for the log (state/overall.ts). */
  readonly overall: (state: NodeState) => string
  /** A fresh random value, for a document that is made. */
  readonly newIncarnation: () => string
  /** A confirmation alone is written when the stored one is older than this, in ms. */
  readonly refreshMs: number
}

export function createRecord(deps: RecordDeps, node: string): Record {
  const { store, clock, overall, newIncarnation, refreshMs } = deps

  const change = (next: (state: NodeState) => { state: NodeState; entries?: NewEntry[] } | undefined) => {
    const incarnation = newIncarnation()
    const apply: Change<void> = (current) => {
      const outcome = next(current ?? emptyNodeState(node, incarnation))
      return outcome === undefined ? { result: undefined } : { ...outcome, result: undefined }
    }
    return store.update(node, apply)
  }

  /** By kind: when the create that is under way here was announced. */
  const announced = new Map<string, string>()
  const withoutPending = (state: NodeState, kind: string) =>
    state.pending.filter((entry) => entry.kind !== kind || entry.requestedAt !== announced.get(kind))

  return {
    read: () => store.read(node),

    async pending(kind, queryTime) {
      const now = clock.now()
      const requestedAt = isoTime(now)
      announced.set(kind, requestedAt)
      await change((state) => {
        const alive = state.pending.filter((entry) => now - milliseconds(entry.requestedAt) < PENDING_MS)
        return { state: { ...state, pending: [...alive, { kind, requestedAt, queryTime }] } }
      })
    },

    answered: (kind) =>
      change((state) => {
        const pending = withoutPending(state, kind)
        return pending.length === state.pending.length ? undefined : { state: { ...state, pending } }
      }),

    held: (subscription, { restored }) => {
      const now = isoTime(clock.now())
      return change((before) => {
        const previous = before.subscriptions.find(({ kind }) => kind === subscription.kind)
        const others = before.subscriptions.filter(({ kind }) => kind !== subscription.kind)
        const subscriptions = [...others, { ...subscription, confirmedAt: now }]
        const state = { ...before, subscriptions, pending: withoutPending(before, subscription.kind) }
        if (!restored || previous === undefined || previous.id === subscription.id) return { state }
        const entry: NewEntry = {
          type: 'restored',
          kind: subscription.kind,
          notBefore: previous.confirmedAt,
          notAfter: now,
          via: 'poll',
          overall: overall(state),
        }
        return { state, entries: [entry] }
      })
    },

    finish: (info, { confirmed, keep }) => {
      const now = clock.now()
      const checkedAt = isoTime(now)
      return change((state) => {
        const subscriptions = state.subscriptions
          .filter(keep)
          .map((held) => (confirmed.has(held.kind) ? { ...held, confirmedAt: checkedAt } : held))
        const { url, reachable, problem } = info
        const before = state.publisher
        const dialect = info.dialect ?? before?.dialect ?? 'unknown'
        const publisher = { url, dialect, reachable, checkedAt, ...(problem !== undefined && { problem }) }
        const same =
          before !== undefined &&
          subscriptions.length === state.subscriptions.length &&
          before.url === url &&
          before.dialect === dialect &&
          before.reachable === reachable &&
          before.problem === problem &&
          now - milliseconds(before.checkedAt) < refreshMs
        return same ? undefined : { state: { ...state, publisher, subscriptions } }
      })
    },
  }
}

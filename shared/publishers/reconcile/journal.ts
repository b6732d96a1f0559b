import { isDeepStrictEqual } from 'node:util'
import type { NewEntry, NodeState, Subscription } from '#shared/state/document.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Lacking } from './lacking.ts'
import type { Target } from '#shared/publishers/target.ts'
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
  readonly labels?: Target['labels']
}

/**
 * What the keeper writes into one node's document. What an answer brought waits for the next write, that before the
 * next create or the one at the end: a write for each create, not two. Methods that write throw StoreError when the
 * store is out of reach.
 */
export type Record = {
  /** The document as this process last knew it; undefined if it does not. Asks nobody. */
  remembered(): NodeState | undefined
  read(): Promise<NodeState | undefined>
  /**
   * Before a create: a push of this kind is an initial notification from now on. `queryTime`: its time is that of the
   * question. The dialect is on record only at the end of a run, too late for a first one.
   */
  pending(kind: string, queryTime: boolean): Promise<void>
  /**
   * After an answer to that create. `sentInitial`: it was made, and the publisher has posted its initial notification
   * before: if nothing else came, that was the one reading that did.
   */
  answered(kind: string, options?: { sentInitial: boolean }): void
  /**
   * A subscription that was made or found; it answers a pending create too. `restored`: the document had one, and
   * the publisher did not any more.
   */
  held(subscription: Omit<Subscription, 'confirmedAt'>, options: { restored: boolean }): void
  /** All that the host lacks. */
  lacking(all: readonly Lacking[]): void
  /** Writes what waits, if anything does. */
  flush(): Promise<void>
  /**
   * For a name that turned out to be nobody's: nothing that waits is written, and what is on record is removed unless
   * a clock was heard of under that name. True if nothing is on record now.
   */
  discard(): Promise<boolean>
  /**
   * The end of a run: how the publisher is, and which of the kinds on record are still meant to be there. Gives what
   * is to become of the document, where nothing but that waits to be written; undefined where all was written.
   */
  finish(
    info: PublisherInfo,
    confirmed: Confirmed,
    options?: { handOver?: boolean },
  ): Promise<Closing | undefined>
}

export type Confirmed = {
  readonly confirmed: ReadonlySet<string>
  readonly keep: (subscription: Subscription) => boolean
}

/** What the end of a run makes of a document: the same one where there is nothing to write. Pure. */
export type Closing = (state: NodeState) => NodeState

export type RecordDeps = {
  readonly store: Pick<Store, 'update' | 'read' | 'remembered' | 'remove'>
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

  let notes: Note[] = []
  const write = async (): Promise<void> => {
    const taken = notes
    notes = []
    const incarnation = newIncarnation()
    await store.update(node, (current) => {
      const before = current ?? emptyNodeState(node, incarnation)
      let state = before
      const entries: NewEntry[] = []
      for (const note of taken) {
        const noted = note(state)
        state = noted.state
        if (noted.entry !== undefined) entries.push(noted.entry)
      }
      return state === before ? { result: undefined } : { state, entries, result: undefined }
    })
  }
  const flush = async () => {
    if (notes.length > 0) await write()
  }

  /** By kind: when the create that is under way here was announced. */
  const announced = new Map<string, string>()
  const withoutPending = (state: NodeState, kind: string) =>
    state.pending.filter((entry) => entry.kind !== kind || entry.requestedAt !== announced.get(kind))

  return {
    remembered: () => store.remembered(node),
    read: () => store.read(node),
    flush,

    async discard() {
      const isEmpty = (state: NodeState) => state.clocks.length === 0
      const before = await store.read(node)
      if (before !== undefined && !isEmpty(before)) return false
      notes = []
      return before === undefined || (await store.remove(node, isEmpty))
    },

    pending(kind, queryTime) {
      const now = clock.now()
      const requestedAt = isoTime(now)
      announced.set(kind, requestedAt)
      notes.push((state) => {
        const alive = state.pending.filter((entry) => isWithin(entry.requestedAt, now, PENDING_MS))
        return { state: { ...state, pending: [...alive, { kind, requestedAt, queryTime }] } }
      })
      return write()
    },

    answered(kind, { sentInitial = false } = { sentInitial: false }) {
      notes.push((state) => {
        const pending = withoutPending(state, kind)
        if (pending.length === state.pending.length) return { state }
        const create = state.pending.find((entry) => !pending.includes(entry))
        const clocks = sentInitial && create !== undefined ? proven(state.clocks, create) : state.clocks
        return { state: { ...state, clocks, pending } }
      })
    },

    held(subscription, { restored }) {
      const now = isoTime(clock.now())
      notes.push((before) => {
        const previous = before.subscriptions.find(({ kind }) => kind === subscription.kind)
        const others = before.subscriptions.filter(({ kind }) => kind !== subscription.kind)
        const subscriptions = [...others, { ...subscription, confirmedAt: now }]
        const pending = withoutPending(before, subscription.kind)
        const state = withoutLacking({ ...before, subscriptions, pending }, [subscription.kind])
        if (!restored || previous === undefined || previous.id === subscription.id) return { state }
        const entry: NewEntry = {
          type: 'restored',
          kind: subscription.kind,
          notBefore: previous.confirmedAt,
          notAfter: now,
          via: 'poll',
          overall: overall(state),
        }
        return { state, entry }
      })
    },

    lacking(all) {
      notes.push((state) => ({ state: { ...state, lacking: [...all] } }))
    },

    async finish(info, confirmed, { handOver = false } = {}) {
      const closing = closingOf(info, confirmed, clock.now(), refreshMs)
      if (handOver && notes.length === 0) return closing
      notes.push((state) => ({ state: closing(state) }))
      await write()
      return undefined
    },
  }
}

/** Where one reading came of a clock, it was the initial notification, and what that alone showed may be missed (rule 9). */
function proven(
  clocks: NodeState['clocks'],
  { kind, requestedAt, heard = [] }: NodeState['pending'][number],
): NodeState['clocks'] {
  return clocks.map((clock) => {
    const { undated, ...rest } = clock
    const isOne = heard.filter((instance) => instance === clock.instance).length === 1
    if (clock.kind !== kind || undated?.create !== requestedAt || !isOne) return clock
    return { ...rest, undated: { ...undated, proven: true } }
  })
}

/** Without the entries of these kinds, which are there after all. */
export function withoutLacking(state: NodeState, kinds: readonly string[]): NodeState {
  const { lacking, ...others } = state
  const left = lacking?.filter(({ kind }) => !kinds.includes(kind))
  if (left?.length === lacking?.length) return state
  return left === undefined || left.length === 0 ? others : { ...others, lacking: left }
}

/** What one answer makes of the document: the same one where it says nothing new. Pure. */
type Note = (state: NodeState) => { readonly state: NodeState; readonly entry?: NewEntry }

function closingOf(
  info: PublisherInfo,
  { confirmed, keep }: Confirmed,
  now: number,
  refreshMs: number,
): Closing {
  const checkedAt = isoTime(now)
  return (state) => {
    const subscriptions = state.subscriptions
      .filter(keep)
      .map((held) => (confirmed.has(held.kind) ? { ...held, confirmedAt: checkedAt } : held))
    const { url, reachable, problem, labels = {} } = info
    const before = state.publisher
    const dialect = info.dialect ?? before?.dialect ?? 'unknown'
    const same =
      before !== undefined &&
      subscriptions.length === state.subscriptions.length &&
      before.url === url &&
      before.dialect === dialect &&
      before.reachable === reachable &&
      before.problem === problem &&
      before.goneSince === undefined &&
      isDeepStrictEqual(state.labels ?? {}, labels) &&
      isWithin(before.checkedAt, now, refreshMs)
    if (same) return state
    const { unreachableSince, blindSince } = before ?? {}
    const publisher = {
      url,
      dialect,
      reachable,
      checkedAt,
      ...(problem !== undefined && { problem }),
      ...(unreachableSince !== undefined && { unreachableSince }),
      ...(blindSince !== undefined && { blindSince }),
    }
    return { ...state, labels, publisher, subscriptions }
  }
}

/** Whether a stored time of ours is of the last so many milliseconds; one in the future is of a clock that was set back. */
function isWithin(time: string, now: number, ms: number): boolean {
  return Math.abs(now - milliseconds(time)) < ms
}

import { isDeepStrictEqual } from 'node:util'
import { emptyNodeState, type NewEntry, type NodeState, type Subscription } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Target } from '#shared/publishers/target.ts'
import { type Clock, isoTime, milliseconds } from '#shared/time.ts'

/** A pending create has no effect after this, in ms; longer ones have been given up (design.md §3, rule 9). */
const PENDING_MS = 10_000

/** A kind that a host lacks, as its document has it. */
export type Lacking = NonNullable<NodeState['lacking']>[number]

/** A change to a document, which it returns as is if there is nothing new. Pure. */
export type DocumentChange = (state: NodeState) => NodeState

/** The result of a run, and which recorded subscriptions are kept. */
export type Ending = {
  readonly url: string
  /** Undefined if it could not be detected this time: the known one is kept. */
  readonly dialect: string | undefined
  readonly reachable: boolean
  readonly problem?: string | undefined
  /** Absent if they are not known now: those in the document are kept. */
  readonly labels?: Target['labels']
  readonly held: ReadonlySet<string>
  readonly keeps: (subscription: Subscription) => boolean
}

export type JournalDeps = {
  readonly store: Pick<Store, 'update' | 'read' | 'remembered' | 'remove'>
  readonly clock: Clock
  /** The overall state of a document now, for the log. */
  readonly overall: (state: NodeState) => string
  /** A fresh random value, for a document that is made. */
  readonly newIncarnation: () => string
  /** A confirmation alone is written only if the stored one is older than this. Milliseconds. */
  readonly refreshMs: number
}

export type Journal = ReturnType<typeof createJournal>

/**
 * Collects what the reconciler changes in one node's document, and writes it before the next create and at the end:
 * one write for each create, not two. Methods that read or write throw StoreError.
 */
export function createJournal(deps: JournalDeps, node: string, labels: Target['labels'] = {}) {
  const { store, clock, overall, newIncarnation, refreshMs } = deps
  let known: NodeState | undefined
  let isRead = false
  const read = async () => {
    known = await store.read(node)
    isRead = true
    return known
  }

  let waiting: ((state: NodeState, entries: NewEntry[]) => NodeState)[] = []
  /** By kind: when the create that is under way here was announced. */
  const announced = new Map<string, string>()
  const withoutPending = (state: NodeState, kind: string) =>
    state.pending.filter((entry) => entry.kind !== kind || entry.requestedAt !== announced.get(kind))

  const journal = {
    /** The cached document, or else the one in the store. */
    document: async () => {
      known ??= store.remembered(node)
      return known ?? (await read())
    },

    /** The recorded id for a kind. If it is not `id`, the document is read again: another process may have written. */
    async idOnRecord(kind: string, id: string) {
      const idOf = () => known?.subscriptions.find((held) => held.kind === kind)?.id
      if (idOf() !== id && !isRead) await read()
      return idOf()
    },

    /**
     * Before a create: pushes of this kind are initial notifications from now on. `queryTime`: their time is that of
     * the question.
     */
    pending(kind: string, queryTime: boolean) {
      const now = clock.now()
      const requestedAt = isoTime(now)
      announced.set(kind, requestedAt)
      journal.note((state) => {
        const alive = state.pending.filter((entry) => isWithin(entry.requestedAt, now, PENDING_MS))
        return { ...state, pending: [...alive, { kind, requestedAt, queryTime }] }
      })
      return journal.flush()
    },

    /** After the answer to it. `sentInitial`: it was made, so the one reading that came was the initial notification. */
    answered(kind: string, { sentInitial }: { sentInitial: boolean } = { sentInitial: false }) {
      journal.note((state) => {
        const pending = withoutPending(state, kind)
        const create = state.pending.find((entry) => !pending.includes(entry))
        if (create === undefined) return state
        return { ...state, clocks: sentInitial ? proven(state.clocks, create) : state.clocks, pending }
      })
    },

    /** A subscription that was made or found. `restored`: the publisher had lost the one on record. */
    held(subscription: Omit<Subscription, 'confirmedAt'>, { restored }: { restored: boolean }) {
      const { kind, id } = subscription
      const now = isoTime(clock.now())
      waiting.push((before, entries) => {
        const previous = before.subscriptions.find((held) => held.kind === kind)
        const others = before.subscriptions.filter((held) => held.kind !== kind)
        const subscriptions = [...others, { ...subscription, confirmedAt: now }]
        const changed = { ...before, subscriptions, pending: withoutPending(before, kind) }
        const state = withoutLacking(changed, [kind])
        if (restored && previous !== undefined && previous.id !== id) {
          const bounds = { notBefore: previous.confirmedAt, notAfter: now }
          entries.push({ type: 'restored', kind, ...bounds, via: 'poll', overall: overall(state) })
        }
        return state
      })
    },

    /** Any other change; it waits. */
    note: (change: DocumentChange) => void waiting.push(change),

    /** Writes what waits, if anything does. */
    async flush() {
      if (waiting.length === 0) return
      const changes = waiting
      waiting = []
      const incarnation = newIncarnation()
      await store.update(node, (current) => {
        // With its labels from the start: its first events are filtered by them, too.
        const before = current ?? { ...emptyNodeState(node, incarnation), labels }
        const entries: NewEntry[] = []
        const state = changes.reduce((changed, change) => change(changed, entries), before)
        return state === before ? { result: undefined } : { state, entries, result: undefined }
      })
    },

    /**
     * For a name that is no node's: drops what waits, and removes the document unless a clock was heard of under that
     * name. True if there is no document now.
     */
    async discard() {
      const isEmpty = (state: NodeState) => state.clocks.length === 0
      const before = await read()
      if (before !== undefined && !isEmpty(before)) return false
      waiting = []
      return before === undefined || (await store.remove(node, isEmpty))
    },

    /** What the end of a run makes of the document. */
    closing(ending: Ending): DocumentChange {
      const { url, reachable, problem, held, keeps } = ending
      const now = clock.now()
      const checkedAt = isoTime(now)
      return (state) => {
        const labels = ending.labels ?? state.labels ?? {}
        const subscriptions = state.subscriptions
          .filter(keeps)
          .map((one) => (held.has(one.kind) ? { ...one, confirmedAt: checkedAt } : one))
        const before = state.publisher
        const { unreachableSince, blindSince } = before ?? {}
        const reachedAt = before?.reachable ? before.checkedAt : before?.reachedAt
        const publisher = {
          url,
          dialect: ending.dialect ?? before?.dialect ?? 'unknown',
          reachable,
          checkedAt,
          ...(problem !== undefined && { problem }),
          ...(!reachable && reachedAt !== undefined && { reachedAt }),
          ...(unreachableSince !== undefined && { unreachableSince }),
          ...(blindSince !== undefined && { blindSince }),
        }
        const isSame =
          before !== undefined &&
          isDeepStrictEqual({ ...before, checkedAt }, publisher) &&
          isDeepStrictEqual(state.labels ?? {}, labels) &&
          subscriptions.length === state.subscriptions.length &&
          isWithin(before.checkedAt, now, refreshMs)
        return isSame ? state : { ...state, labels, publisher, subscriptions }
      }
    },
  }
  return journal
}

/** A single reading of a clock was the initial notification: a transition seen only there may be missed (rule 9). */
function proven(
  clocks: NodeState['clocks'],
  { kind, requestedAt, heard = [] }: NodeState['pending'][number],
): NodeState['clocks'] {
  return clocks.map((clock) => {
    const { undated } = clock
    const isOne = heard.filter((instance) => instance === clock.instance).length === 1
    if (clock.kind !== kind || undated?.create !== requestedAt || !isOne) return clock
    return { ...clock, undated: { ...undated, proven: true } }
  })
}

/** Without the entries of these kinds, which are there after all. */
export function withoutLacking(state: NodeState, kinds: readonly string[]): NodeState {
  const { lacking, ...others } = state
  const left = lacking?.filter(({ kind }) => !kinds.includes(kind))
  if (left?.length === lacking?.length) return state
  return left === undefined || left.length === 0 ? others : { ...others, lacking: left }
}

/** Whether a stored time of ours lies within so many ms of now; if our clock was set back, it may be in the future. */
function isWithin(time: string, now: number, ms: number): boolean {
  return Math.abs(now - milliseconds(time)) < ms
}

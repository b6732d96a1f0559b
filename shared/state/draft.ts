import type { Via } from '../events/observation.ts'
import { isoTime } from '../time.ts'
import type { ClockState, Counters, NewEntry, NodeState } from './node-state.ts'
import { isNodeStale, OVERALL_KINDS, overallOf } from './overall.ts'
import type { MergeSettings } from './settings.ts'

/** Without this bound a hostile body could grow a node's document by a clock an event. */
const MOST_CLOCKS = 64

/**
 * A node's document while a merge changes it. The document it began with is never modified: clocks are replaced,
 * not written to. Entries get their `overall` when the merge is finished.
 */
export type Draft = {
  readonly state: NodeState
  clock(kind: string, instance: string): ClockState | undefined
  clocks(): readonly ClockState[]
  /** Puts a clock in place of the one of the same kind and instance. False if the document is full. */
  put(clock: ClockState): boolean
  patch(change: Partial<NodeState>): void
  log(entry: Omit<NewEntry, 'overall'>): void
  count(name: keyof Counters): void
  /**
   * The outcome: nothing but counters if nothing was put, patched or logged. Staleness passes with time alone, and
   * an event that changes nothing is not what announces it: with `always` it is announced nonetheless.
   */
  finish(via: Via, now: number, always?: boolean): Finished
}

type Finished = { state: NodeState | undefined; entries: NewEntry[]; counters: Partial<Counters> }

export function createDraft(before: NodeState, settings: MergeSettings): Draft {
  let clocks = before.clocks
  let state = before
  let touched = false
  let entries: readonly Omit<NewEntry, 'overall'>[] = []
  const counters: Partial<Counters> = {}

  const log = (entry: Omit<NewEntry, 'overall'>) => {
    entries = entries.concat(entry)
  }

  const find = (kind: string, instance: string) =>
    clocks.findIndex((clock) => clock.kind === kind && clock.instance === instance)

  return {
    get state() {
      return state
    },
    clock: (kind, instance) => clocks[find(kind, instance)],
    clocks: () => clocks,
    put(clock) {
      const index = find(clock.kind, clock.instance)
      if (index === -1 && clocks.length >= MOST_CLOCKS) return false
      clocks = index === -1 ? [...clocks, clock] : clocks.with(index, clock)
      touched = true
      return true
    },
    patch(change) {
      state = { ...state, ...change }
      touched = true
    },
    log,
    count(name) {
      counters[name] = (counters[name] ?? 0) + 1
    },
    finish(via, now, always = false) {
      if (!touched && entries.length === 0 && !always) return { state: undefined, entries: [], counters }
      const shown = { clocks, absent: state.absent }
      const overall = overallOf(shown, now, settings)
      const stale = isNodeStale(shown, now, settings)
      const before = state.announced
      const isSame = overall === before.overall && stale === before.stale
      // What time alone or a poll brings is dated by the latest it can have been: entries are told apart by it.
      const notAfter = () => isoTime(now)
      if (stale !== before.stale) log({ type: stale ? 'stale' : 'recovered', via, notAfter: notAfter() })
      if (overall !== before.overall) {
        const dated = datedLike(entries, overall) ?? { notAfter: notAfter() }
        log({ type: 'overall', from: before.overall, to: overall, via, ...dated })
      }
      if (!touched && entries.length === 0) return { state: undefined, entries: [], counters }
      const next = { ...state, clocks, announced: isSame ? before : { overall, stale } }
      return { state: next, entries: entries.map((entry) => ({ ...entry, overall })), counters }
    },
  }
}

/** The change of a node as a whole is dated, and came, like the change of the clock that brought it. */
function datedLike(
  entries: readonly Omit<NewEntry, 'overall'>[],
  overall: string,
): Partial<Pick<NewEntry, 'at' | 'notBefore' | 'notAfter' | 'via'>> | undefined {
  const deciding = entries.filter(({ type, kind }) => type === 'changed' && OVERALL_KINDS.has(kind ?? ''))
  const cause = deciding.findLast(({ to }) => to === overall) ?? deciding.at(-1)
  if (cause === undefined) return undefined
  const { at, notBefore, notAfter, via } = cause
  return {
    via,
    ...(at === undefined ? {} : { at }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(notAfter === undefined ? {} : { notAfter }),
  }
}

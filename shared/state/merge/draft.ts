import type { Via } from '#shared/events/observation.ts'
import { isoTime } from '#shared/time.ts'
import type { ClockState, Counters, NewEntry, NodeState } from '#shared/state/document.ts'
import { conditionOf, OVERALL_KINDS } from './overall.ts'
import type { MergeSettings } from './settings.ts'

/** Without this bound a hostile body could grow a node's document by a clock an event. */
const MOST_CLOCKS = 64

/**
 * A node's document while a merge changes it, by the functions below alone. The document it began with is never
 * modified: clocks are replaced, not written to. Entries get their `overall` when the merge is finished.
 */
export type Draft = {
  readonly settings: MergeSettings
  /** The document but for its clocks. */
  state: NodeState
  clocks: ClockState[]
  entries: readonly DraftEntry[]
  readonly counters: Partial<Counters>
  isTouched: boolean
}

type DraftEntry = Omit<NewEntry, 'overall'>

type Finished = { state: NodeState | undefined; entries: NewEntry[]; counters: Partial<Counters> }

export function createDraft(before: NodeState, settings: MergeSettings): Draft {
  return { settings, state: before, clocks: before.clocks, entries: NONE, counters: {}, isTouched: false }
}

const NONE: readonly DraftEntry[] = []

export function clockOf({ clocks }: Draft, kind: string, instance: string): ClockState | undefined {
  return clocks.find((clock) => clock.kind === kind && clock.instance === instance)
}

/** Puts a clock in place of the one of the same kind and instance. False if the document is full. */
export function putClock(draft: Draft, clock: ClockState): boolean {
  const { clocks } = draft
  const index = clocks.findIndex((other) => other.kind === clock.kind && other.instance === clock.instance)
  if (index === -1 && clocks.length >= MOST_CLOCKS) return false
  draft.clocks = index === -1 ? clocks.concat(clock) : clocks.with(index, clock)
  draft.isTouched = true
  return true
}

export function patchNode(draft: Draft, change: Partial<NodeState>): void {
  draft.state = { ...draft.state, ...change }
  draft.isTouched = true
}

export function addEntry(draft: Draft, entry: DraftEntry): void {
  draft.entries = draft.entries.concat(entry)
}

export function count({ counters }: Draft, name: keyof Counters): void {
  counters[name] = (counters[name] ?? 0) + 1
}

/**
 * The outcome: nothing but counters if nothing was put, patched or added. Staleness passes with time alone, and an
 * event that changes nothing is not what announces it: with `always` it is announced nonetheless.
 */
export function finishDraft(draft: Draft, via: Via, now: number, always = false): Finished {
  const { settings, state, clocks, counters, isTouched } = draft
  if (!isTouched && draft.entries.length === 0 && !always) return { state: undefined, entries: [], counters }
  const shown = { clocks, absent: state.absent, publisher: state.publisher }
  const { overall, stale, blind } = conditionOf(shown, now, settings)
  const before = state.announced
  // What time alone or a poll brings is dated by the latest it can have been: entries are told apart by it.
  const notAfter = () => isoTime(now)
  if (stale && !before.stale) addEntry(draft, { type: 'stale', via, notAfter: notAfter() })
  if (blind && !before.blind) addEntry(draft, { type: 'blind', via, notAfter: notAfter() })
  if (!stale && !blind && (before.stale || before.blind)) {
    addEntry(draft, { type: 'recovered', via, notAfter: notAfter() })
  }
  if (overall !== before.overall) {
    const dated = datedLike(draft.entries, overall) ?? { notAfter: notAfter() }
    addEntry(draft, { type: 'overall', from: before.overall, to: overall, via, ...dated })
  }
  const { entries } = draft
  if (!isTouched && entries.length === 0) return { state: undefined, entries: [], counters }
  const isSame = overall === before.overall && stale === before.stale && blind === before.blind
  const next = { ...state, clocks, announced: isSame ? before : { overall, stale, blind } }
  return { state: next, entries: entries.map((entry) => ({ ...entry, overall })), counters }
}

/** The change of a node as a whole is dated, and came, like the change of the clock that brought it. */
function datedLike(
  entries: readonly DraftEntry[],
  overall: string,
): Partial<Pick<NewEntry, 'at' | 'notBefore' | 'notAfter' | 'via'>> | undefined {
  const deciding = entries.filter(
    ({ type, kind }) => (type === 'changed' || type === 'suspect') && OVERALL_KINDS.has(kind ?? ''),
  )
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

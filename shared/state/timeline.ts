import * as z from 'zod/mini'
import { publishedAt } from '#shared/time.ts'
import type { LogEntry } from './document.ts'
import { OVERALL_KINDS } from './merge/overall.ts'
import type { NodeView } from './view.ts'

/** RFC 3339 in UTC. */
const time = z.string()

/** What a node's log says about a span of time. */
const numbers = {
  node: z.string(),
  from: time,
  to: time,
  /** When the part covered by the log begins; null if nothing is covered. */
  coveredFrom: z.nullable(time),
  /** Seconds in each state, by the node's overall state. */
  seconds: z.object({ FREERUN: z.number(), HOLDOVER: z.number(), UNKNOWN: z.number(), LOCKED: z.number() }),
  /** Seconds of the span that the log does not cover; they count towards no state. */
  uncoveredSeconds: z.number(),
  /** The share of the covered time that the node was LOCKED, 0 to 1; null if nothing is covered. */
  availability: z.nullable(z.number()),
}
export const availability = z.object(numbers)
export const timeline = z.object({
  ...numbers,
  lanes: z.array(
    z.object({
      kind: z.nullable(z.string()),
      instance: z.nullable(z.string()),
      spans: z.array(
        z.object({
          from: time,
          to: time,
          state: z.string(),
          /** Why the state is not to be trusted, or that the log does not cover it. */
          doubt: z.nullable(z.enum(['stale', 'suspect', 'not covered'])),
        }),
      ),
      missed: z.array(z.object({ notBefore: time, notAfter: time, from: z.string(), to: z.string() })),
      marks: z.array(z.object({ at: time, type: z.enum(['restored', 'recovered', 'retired']) })),
    }),
  ),
})

export type Timeline = z.infer<typeof timeline>
export type Lane = Timeline['lanes'][number]
export type Stretch = Lane['spans'][number]

export type TimeSpan = { readonly from: number; readonly to: number }

/** When an entry happened by the publisher's clock, or the latest time it can have happened. Milliseconds. */
export const timeOfEntry = ({ at, notAfter }: LogEntry) => publishedAt(at ?? notAfter ?? '')

type Open = { readonly from: number; readonly state: string; readonly doubt: Stretch['doubt'] }

const UNCOVERED = { state: 'UNKNOWN', doubt: 'not covered' } as const

/**
 * Builds the history of a node from its log, which is added page by page, oldest first, so that a long one does not
 * block the event loop. It starts before `span.from` if the log does. The newest state lasts until `now`, as `view`
 * says. Publishers' clocks may jump, so no entry counts as earlier than the one before it.
 */
export function createTimeline(view: NodeView, span: TimeSpan, now: number) {
  const cut = { from: span.from, to: Math.min(span.to, now) }
  const node = createLane(cut)
  const clocks = new Map<string, TrackedLane>()
  const clockOf = ({ kind, instance }: { kind: string; instance: string }) => {
    const key = `${kind} ${instance}`
    const lane = clocks.get(key) ?? createLane(cut, kind, instance)
    clocks.set(key, lane)
    return lane
  }
  for (const clock of view.resources) clockOf(clock)
  let first: number | undefined
  let last = Number.NEGATIVE_INFINITY
  let lastSeq: number | undefined

  const follow = (entry: LogEntry) => {
    const told = timeOfEntry(entry)
    const at = Math.min(now, Number.isNaN(told) ? Math.max(last, 0) : Math.max(last, told))
    // A missing entry could not be read: what it said is unknown.
    if (lastSeq !== undefined && entry.seq > lastSeq + 1)
      for (const lane of [node, ...clocks.values()]) lane.begin({ from: last, ...UNCOVERED })
    lastSeq = entry.seq
    last = at
    first ??= at
    followNode(node, entry, at)
    const { kind, instance } = entry
    if (kind !== undefined && instance !== undefined)
      followClock(clockOf({ kind, instance }), entry, at, first)
  }

  return {
    add: (entries: readonly LogEntry[]) => entries.forEach(follow),
    end(): Timeline {
      closeByView(node, view, now)
      for (const clock of view.resources) closeClock(clockOf(clock), clock, first ?? now, now)
      const lanes = [node, ...clocks.values()].map((lane) => lane.close(now))
      const { seconds } = node
      const known = Object.values(seconds).reduce((sum, each) => sum + each, 0)
      return {
        node: view.node,
        from: iso(span.from),
        to: iso(span.to),
        coveredFrom: first === undefined || first > cut.to ? null : iso(Math.max(first, span.from)),
        seconds,
        uncoveredSeconds: Math.max(0, (span.to - span.from) / 1000 - known),
        availability: known > 0 ? seconds.LOCKED / known : null,
        lanes,
      }
    },
  }
}

type TrackedLane = ReturnType<typeof createLane>

/** A lane, cut to the span, that also keeps the parts not covered by the log. */
function createLane({ from, to }: TimeSpan, kind: string | null = null, instance: string | null = null) {
  const lane: Lane = { kind, instance, spans: [], missed: [], marks: [] }
  const seconds = { FREERUN: 0, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0 }
  let open: Open | undefined

  const end = (at: number) => {
    const { state, doubt, ...begun } = open ?? { from, ...UNCOVERED }
    const begin = Math.max(begun.from, from)
    const until = Math.min(at, to)
    if (begin >= until) return
    lane.spans.push({ from: iso(begin), to: iso(until), state, doubt })
    if (doubt !== 'not covered' && isOverall(state)) seconds[state] += (until - begin) / 1000
  }

  return {
    seconds,
    open: () => open,
    begin(next: Open) {
      end(next.from)
      open = next
    },
    mark(at: number, type: Lane['marks'][number]['type']) {
      if (at >= from && at <= to) lane.marks.push({ at: iso(at), type })
    },
    missed(missed: Lane['missed'][number]) {
      if (publishedAt(missed.notAfter) >= from && publishedAt(missed.notBefore) <= to)
        lane.missed.push(missed)
    },
    close(at: number) {
      end(at)
      return lane
    },
  }
}

function followNode(lane: TrackedLane, { type, overall: state, notBefore = '' }: LogEntry, at: number): void {
  const before = lane.open()
  // Silence is logged only when something arrives again: nothing had confirmed the state since then.
  const silentAt = Date.parse(notBefore)
  const tellsSilence = (type === 'stale' || type === 'recovered') && silentAt < at
  if (tellsSilence && before !== undefined && before.doubt !== 'stale')
    lane.begin({ from: Math.max(before.from, silentAt), state: 'UNKNOWN', doubt: 'stale' })
  const isOver = type === 'recovered' || before?.doubt === 'not covered'
  const doubt = type === 'stale' ? 'stale' : isOver ? null : (before?.doubt ?? null)
  const newest = lane.open()
  if (newest?.state !== state || newest.doubt !== doubt) lane.begin({ from: at, state, doubt })
  if (type === 'restored') lane.mark(at, 'restored')
}

/** A node becomes UNKNOWN by time alone, and its log does not say so before something arrives again. */
function closeByView(lane: TrackedLane, view: NodeView, now: number): void {
  const last = lane.open()
  if (last === undefined || last.state === view.overall) return
  const confirmed = view.resources
    .filter(({ kind }) => OVERALL_KINDS.has(kind))
    .map(({ confirmedAt }) => Date.parse(confirmedAt))
  const from = Math.max(last.from, Math.min(now, ...confirmed))
  lane.begin({ from, state: view.overall, doubt: view.suspect ? 'suspect' : 'stale' })
}

/** `first`: when the log began. */
function followClock(lane: TrackedLane, entry: LogEntry, at: number, first: number): void {
  const { type, from, to, notAfter, notBefore = notAfter } = entry
  if (type === 'missed' && notAfter !== undefined && notBefore !== undefined) {
    lane.missed({ notBefore, notAfter, from: from ?? '', to: to ?? '' })
  } else if (type === 'suspect') {
    lane.begin({ from: at, state: 'UNKNOWN', doubt: 'suspect' })
  } else if (type === 'retired') {
    lane.mark(at, 'retired')
    lane.begin({ from: at, state: '', doubt: 'not covered' })
  } else if (type === 'changed' && to !== undefined) {
    if (lane.open() === undefined && from !== undefined && first < at)
      lane.begin({ from: first, state: from, doubt: null })
    lane.begin({ from: at, state: to, doubt: null })
  }
}

/** A clock without log entries has had its state since the log began, or since it was first seen. */
function closeClock(
  lane: TrackedLane,
  clock: NodeView['resources'][number],
  first: number,
  now: number,
): void {
  const state = clock.state ?? Object.values(clock.metrics).join(' ')
  const since = clock.since ?? clock.notAfter
  const began = Math.max(first, Math.min(now, since === null ? now : publishedAt(since)))
  const { from: known = 0, doubt = 'not covered' } = lane.open() ?? {}
  if (doubt === 'not covered') lane.begin({ from: Math.max(known, began), state, doubt: null })
  const from = Math.max(lane.open()?.from ?? 0, Date.parse(clock.confirmedAt))
  if (clock.stale) lane.begin({ from, state, doubt: 'stale' })
}

const isOverall = (state: string): state is NodeView['overall'] =>
  state === 'FREERUN' || state === 'HOLDOVER' || state === 'UNKNOWN' || state === 'LOCKED'

const iso = (ms: number) => new Date(ms).toISOString()

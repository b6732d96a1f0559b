import * as z from 'zod/mini'
import { publishedAt } from '#shared/time.ts'
import type { LogEntry } from './document.ts'
import { OVERALL_KINDS } from './merge/overall.ts'
import type { NodeView } from './view.ts'

/** RFC 3339 in UTC. */
const time = z.string()

/** What a node's log tells of a span of time. */
const numbers = {
  node: z.string(),
  from: time,
  to: time,
  /** From when on the log tells what happened; null where it holds nothing. */
  coveredFrom: z.nullable(time),
  /** Seconds in each state, by the node's overall state. */
  seconds: z.object({ FREERUN: z.number(), HOLDOVER: z.number(), UNKNOWN: z.number(), LOCKED: z.number() }),
  /** Seconds of the span that the log does not cover: they are in no state. */
  uncoveredSeconds: z.number(),
  /** The share of the covered time that the node was LOCKED, 0 to 1; null where nothing is covered. */
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

export type Span = { readonly from: number; readonly to: number }

/**
 * The history of a node from its log, oldest entry first. `entries` begin before `span.from` where the log reaches so
 * far. The newest state lasts until now, by `view`;
 * publishers' clocks may jump, so no entry is taken to be earlier than the one before it.
 */
export function timelineOf(view: NodeView, entries: readonly LogEntry[], span: Span, now: number): Timeline {
  const times = timesOf(entries, now)
  const end = Math.min(span.to, now)
  const first = times[0]
  const covered = first === undefined ? undefined : Math.max(first, span.from)
  const node = nodeLane(view, entries, times, now)
  const lanes = [node, ...clockLanes(view, entries, times, now)]
  const cut = lanes.map((lane) => cutTo(lane, { from: span.from, to: end }))
  const seconds = { FREERUN: 0, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0 }
  for (const { from, to, state, doubt } of cut[0]?.spans ?? []) {
    if (doubt !== 'not covered' && isOverall(state))
      seconds[state] += (Date.parse(to) - Date.parse(from)) / 1000
  }
  const known = Object.values(seconds).reduce((sum, each) => sum + each, 0)
  return {
    node: view.node,
    from: iso(span.from),
    to: iso(span.to),
    coveredFrom: covered === undefined || covered > end ? null : iso(covered),
    lanes: cut,
    seconds,
    uncoveredSeconds: Math.max(0, (span.to - span.from) / 1000 - known),
    availability: known > 0 ? seconds.LOCKED / known : null,
  }
}

type OpenStretch = { from: number; state: string; doubt: Stretch['doubt'] }
type Uncut = Omit<Lane, 'spans'> & { readonly open: OpenStretch[]; readonly end: number }

function nodeLane(
  view: NodeView,
  entries: readonly LogEntry[],
  times: readonly number[],
  now: number,
): Uncut {
  const open: OpenStretch[] = []
  const marks: Lane['marks'] = []
  for (const [i, entry] of entries.entries()) {
    const at = times[i] ?? now
    const last = open.at(-1)
    // Nothing had confirmed it since then, which is found out when something comes again.
    const silentAt = entry.notBefore === undefined ? Number.NaN : Date.parse(entry.notBefore)
    if ((entry.type === 'stale' || entry.type === 'recovered') && last !== undefined && silentAt < at) {
      if (last.doubt !== 'stale')
        open.push({ from: Math.max(last.from, silentAt), state: 'UNKNOWN', doubt: 'stale' })
    }
    const doubt = entry.type === 'stale' ? 'stale' : entry.type === 'recovered' ? null : (last?.doubt ?? null)
    const state = entry.overall
    const newest = open.at(-1)
    if (newest?.state !== state || newest.doubt !== doubt) open.push({ from: at, state, doubt })
    if (entry.type === 'restored') marks.push({ at: iso(at), type: 'restored' })
  }
  closeByView(open, view, now)
  return { kind: null, instance: null, open, marks, missed: [], end: now }
}

/** Time alone makes a node UNKNOWN: its log does not say so before something comes again. */
function closeByView(open: OpenStretch[], view: NodeView, now: number): void {
  const last = open.at(-1)
  if (last === undefined || last.state === view.overall) return
  const confirmed = view.resources
    .filter(({ kind }) => OVERALL_KINDS.has(kind))
    .map(({ confirmedAt }) => Date.parse(confirmedAt))
  const from = Math.max(last.from, Math.min(now, ...confirmed))
  open.push({ from, state: view.overall, doubt: view.suspect ? 'suspect' : 'stale' })
}

function clockLanes(
  view: NodeView,
  entries: readonly LogEntry[],
  times: readonly number[],
  now: number,
): Uncut[] {
  const lanes = new Map<string, Uncut>()
  const laneOf = (kind: string, instance: string) => {
    const key = `${kind} ${instance}`
    const lane: Uncut = lanes.get(key) ?? { kind, instance, open: [], marks: [], missed: [], end: now }
    lanes.set(key, lane)
    return lane
  }
  for (const { kind, instance } of view.resources) laneOf(kind, instance)
  for (const [i, entry] of entries.entries()) {
    if (entry.kind === undefined || entry.instance === undefined) continue
    const at = times[i] ?? now
    const lane = laneOf(entry.kind, entry.instance)
    if (entry.type === 'missed' && entry.notAfter !== undefined) {
      const { notBefore = entry.notAfter, notAfter, from = '', to = '' } = entry
      lane.missed.push({ notBefore, notAfter, from, to })
    } else if (entry.type === 'suspect') {
      lane.open.push({ from: at, state: 'UNKNOWN', doubt: 'suspect' })
    } else if (entry.type === 'retired') {
      lane.marks.push({ at: iso(at), type: 'retired' })
      lane.open.push({ from: at, state: '', doubt: 'not covered' })
    } else if (entry.type === 'changed' && entry.to !== undefined) {
      if (lane.open.length === 0 && entry.from !== undefined && times[0] !== undefined && times[0] < at) {
        lane.open.push({ from: times[0], state: entry.from, doubt: null })
      }
      lane.open.push({ from: at, state: entry.to, doubt: null })
    }
  }
  for (const clock of view.resources) {
    const { open } = laneOf(clock.kind, clock.instance)
    const state = clock.state ?? Object.values(clock.metrics).join(' ')
    if (open.length === 0) open.push({ from: startOf(clock, times, now), state, doubt: null })
    if (clock.stale)
      open.push({
        from: Math.max(open.at(-1)?.from ?? 0, Date.parse(clock.confirmedAt)),
        state,
        doubt: 'stale',
      })
  }
  return [...lanes.values()]
}

/** A clock without an entry in the log has been as it is since the log began, or since it was first seen. */
function startOf(clock: NodeView['resources'][number], times: readonly number[], now: number): number {
  const since = clock.since ?? clock.notAfter
  return Math.max(times[0] ?? now, Math.min(now, since === null ? now : publishedAt(since)))
}

/** The stretches of a lane inside of a span, with what the log does not cover. */
function cutTo({ open, end, ...lane }: Uncut, { from, to }: Span): Lane {
  const spans: Stretch[] = []
  const add = (begin: number, until: number, state: string, doubt: Stretch['doubt']) => {
    const cut = { from: Math.max(begin, from), to: Math.min(until, to) }
    if (cut.from < cut.to) spans.push({ from: iso(cut.from), to: iso(cut.to), state, doubt })
  }
  const first = open[0]?.from ?? end
  add(from, first, 'UNKNOWN', 'not covered')
  for (const [i, stretch] of open.entries())
    add(stretch.from, open[i + 1]?.from ?? end, stretch.state, stretch.doubt)
  const isIn = (iso: string) => Date.parse(iso) >= from && Date.parse(iso) <= to
  return {
    ...lane,
    spans,
    missed: lane.missed.filter(
      ({ notAfter, notBefore }) => publishedAt(notAfter) >= from && publishedAt(notBefore) <= to,
    ),
    marks: lane.marks.filter(({ at }) => isIn(at)),
  }
}

/** When each entry happened, in milliseconds: never before the one before it, and never after now. */
function timesOf(entries: readonly LogEntry[], now: number): number[] {
  let last = Number.NEGATIVE_INFINITY
  return entries.map((entry) => {
    const told = publishedAt(entry.at ?? entry.notAfter ?? '')
    last = Math.min(now, Number.isNaN(told) ? Math.max(last, 0) : Math.max(last, told))
    return last
  })
}

const isOverall = (state: string): state is NodeView['overall'] =>
  state === 'FREERUN' || state === 'HOLDOVER' || state === 'UNKNOWN' || state === 'LOCKED'

const iso = (ms: number) => new Date(ms).toISOString()

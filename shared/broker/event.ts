import { createHash } from 'node:crypto'
import type { CloudEventV1 } from 'cloudevents'
import * as z from 'zod/mini'
import { repairTime } from '#shared/time.ts'
import { type ENTRY_TYPES, type LogEntry, logEntry } from '#shared/state/document.ts'

/** The CloudEvents type of each kind of log entry (design.md §6). Renaming one breaks every consumer's Trigger. */
export const EVENT_TYPES = {
  changed: 'ptpwatch.state.changed.v1',
  missed: 'ptpwatch.state.missed.v1',
  delayed: 'ptpwatch.state.delayed.v1',
  overall: 'ptpwatch.node.changed.v1',
  suspect: 'ptpwatch.clock.suspect.v1',
  stale: 'ptpwatch.node.stale.v1',
  blind: 'ptpwatch.node.blind.v1',
  recovered: 'ptpwatch.node.recovered.v1',
  retired: 'ptpwatch.clock.retired.v1',
  restored: 'ptpwatch.subscription.restored.v1',
} as const satisfies Record<(typeof ENTRY_TYPES)[number], string>

/** The data of every event: the log entry and its node. Published as JSON Schema in docs/events.md. */
export const eventData = z.object({ node: z.string(), ...logEntry.shape })

export type EventData = z.infer<typeof eventData>

/** A structured-mode JSON event. `time` has the publisher's nanoseconds where the publisher gave them. */
export type OutgoingEvent = Readonly<ReturnType<typeof eventOf>>

/** CloudEvents 1.0.2 §3.1.1 does not limit attributes, but HTTP headers are limited. Characters. */
const LONGEST_ATTRIBUTE = 256

/**
 * The event for a log entry. The same entry always gives the same event, whoever sends it: the id is a hash of the
 * node, the document's incarnation, and the entry's number and content, so a store that was emptied or restored from
 * a backup never gives an old id to another entry.
 */
export function eventOf(
  node: string,
  incarnation: string,
  entry: LogEntry,
  labels: Readonly<Record<string, string>> = {},
) {
  const { kind, instance, from, to, at, notAfter } = entry
  const time = at ?? notAfter
  return {
    specversion: '1.0',
    id: idOf([node, incarnation, String(entry.seq), entry.type, kind, instance, from, to, time].map(String)),
    source: `/ptp-watch/${encodeURIComponent(node.toWellFormed())}`,
    type: EVENT_TYPES[entry.type],
    subject: attributeOf(kind ? (instance === undefined ? kind : `${kind}/${instance}`) : node),
    ...(time === undefined || repairTime(time) !== time ? {} : { time: time.toUpperCase() }),
    datacontenttype: 'application/json',
    node: attributeOf(node),
    severity: severityOf(entry),
    partitionkey: attributeOf(node),
    sequence: String(entry.seq).padStart(SEQUENCE_DIGITS, '0'),
    ...(kind ? { kind: attributeOf(kind) } : {}),
    ...(to ? { state: attributeOf(to) } : {}),
    ...(from ? { previousstate: attributeOf(from) } : {}),
    ...(labels.site ? { site: attributeOf(labels.site) } : {}),
    ...(labels.region ? { region: attributeOf(labels.region) } : {}),
    data: { node, ...entry },
  } as const satisfies CloudEventV1<EventData>
}

/** Fixed width, so that text order is numeric order for every number that a log can reach. */
const SEQUENCE_DIGITS = 19

function idOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)
}

const WARNINGS: ReadonlySet<string> = new Set(['missed', 'suspect', 'stale', 'blind', 'restored'])

/** FREERUN must stop a radio; anything not known to be good deserves a look. */
export function severityOf({ type, to }: Pick<LogEntry, 'type' | 'to'>) {
  if (to === 'FREERUN') return 'critical'
  if (WARNINGS.has(type)) return 'warning'
  return to === 'HOLDOVER' || to === 'UNKNOWN' ? 'warning' : 'info'
}

/**
 * An attribute that reads the same in both HTTP modes: everything but visible ASCII is percent-encoded (not every
 * sender does so for headers), and long text is cut. Real publishers' names and words pass unchanged; `data` has the
 * original text.
 */
function attributeOf(text: string): string {
  return text
    .slice(0, LONGEST_ATTRIBUTE)
    .toWellFormed()
    .replace(/[^\x21-\x7e]+/gu, encodeURIComponent)
}

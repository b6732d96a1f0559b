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

/** The data of every event: the log entry, and the node that it is of. Published as JSON Schema in docs/events.md. */
export const eventData = z.object({ node: z.string(), ...logEntry.shape })

export type EventData = z.infer<typeof eventData>

/** In structured JSON. `time` has the publisher's nanoseconds where the publisher gave it. */
export type OutgoingEvent = Readonly<ReturnType<typeof eventOf>>

/** CloudEvents 1.0.2 §3.1.1 leaves no bound to attributes, but the headers of HTTP are bounded. Characters. */
const LONGEST_ATTRIBUTE = 256

/**
 * The event of a log entry. The same entry gives the same event, whoever sends it and however often: its id is of
 * the node, the document's incarnation, and the entry's number and content: a store that was emptied, or set back to a
 * backup, gives no old id to another entry.
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

/** Every number that a log can reach has as many digits, so that the order of text is the order of numbers. */
const SEQUENCE_DIGITS = 19

function idOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)
}

const WARNINGS: ReadonlySet<string> = new Set(['missed', 'suspect', 'stale', 'blind', 'restored'])

/** FREERUN must stop a radio; what is not known to be good is worth a look. */
export function severityOf({ type, to }: Pick<LogEntry, 'type' | 'to'>) {
  if (to === 'FREERUN') return 'critical'
  if (WARNINGS.has(type)) return 'warning'
  return to === 'HOLDOVER' || to === 'UNKNOWN' ? 'warning' : 'info'
}

/**
 * An attribute that is the same in both modes of HTTP, whoever converts it: all but visible ASCII is percent-encoded
 * (not every sender does so when it makes headers of attributes), and what is overlong is cut. The names and words of
 * real publishers pass unchanged; `data` has the text as it is.
 */
function attributeOf(text: string): string {
  return text
    .slice(0, LONGEST_ATTRIBUTE)
    .toWellFormed()
    .replace(/[^\x21-\x7e]+/gu, encodeURIComponent)
}

import { MalformedEventError } from '../errors.ts'

/** One event of any dialect and release, under unified field names but not interpreted yet. */
export type WireEvent = {
  readonly id: string | undefined
  readonly type: string | undefined
  readonly source: string | undefined
  readonly subject: string | undefined
  readonly time: string | undefined
  readonly values: readonly WireValue[]
  /** Its key in a map, as in pulls of StarlingX's legacy format. */
  readonly key: string | undefined
}

type WireValue = {
  readonly address: string | undefined
  readonly value: unknown
}

type Json = Readonly<Record<string, unknown>>

/** Events nest at most this deep in any known shape: map of kinds → array → event. */
const MAX_DEPTH = 3

/** Shared: creating one costs as much as reading an event. */
const UTF_8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The JSON value of a body.
 * @throws MalformedEventError `not-json` if it is not JSON or not UTF-8.
 */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(UTF_8.decode(body))
  } catch (cause) {
    throw new MalformedEventError('not-json', 'The body is not JSON', { cause })
  }
}

/**
 * All events in a body, whichever shape it has: an event, an array of events, a map of instance to event, a map
 * of kind to events, or StarlingX's version-1 status (starlingx.md, "One consumer for both", rule 1).
 * `null`, `{}` and `[]` hold no events; anything else unknown becomes undefined, so that the caller can report it.
 */
export function eventsIn(body: unknown, key?: string, depth = 0): (WireEvent | undefined)[] {
  if (body === null) return []
  const event = toEvent(body, key)
  if (event !== undefined) return [event]
  if (depth >= MAX_DEPTH) return [undefined]
  if (Array.isArray(body)) return body.flatMap((item) => eventsIn(item, undefined, depth + 1))
  if (!isObject(body)) return [undefined]
  const all = Object.values(body)
  const entries = Object.entries(body).filter(([, value]) => typeof value === 'object' && value !== null)
  if (entries.length === 0) return all.every((value) => value === null) ? [] : [undefined]
  return entries.flatMap(([name, value]) => eventsIn(value, name, depth + 1))
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function toEvent(body: unknown, key: string | undefined): WireEvent | undefined {
  if (!isObject(body)) return undefined
  const data = readableData(body)
  if (isObject(data) && (Array.isArray(data.values) || data.values === null)) {
    return {
      id: text(body.id),
      type: text(body.type),
      source: text(body.source),
      subject: text(body.subject),
      time: timeText(body.time),
      values: data.values?.map(toValue) ?? [],
      key,
    }
  }
  return toStarlingxV1(body, key)
}

/** Undefined if it cannot be read. */
function readableData(event: Json): unknown {
  try {
    return dataOf(event)
  } catch (error) {
    if (error instanceof MalformedEventError) return undefined
    throw error
  }
}

/**
 * The JSON of a structured CloudEvent: in `data`, in `data_base64`, or in 0.3 as base64 in `data` (CloudEvents JSON format
 * 1.0.2, §3.1).
 * @throws MalformedEventError if it has both, or base64 that cannot be read.
 */
export function dataOf({
  data,
  data_base64: encoded,
  datacontentencoding: encoding,
}: Readonly<Record<string, unknown>>): unknown {
  const isEncoded03 = typeof encoding === 'string' && encoding.toLowerCase() === 'base64'
  if (isEncoded03 && typeof data === 'string') return fromBase64(data)
  if (encoded === undefined || encoded === null) return data
  if (data !== undefined && data !== null)
    throw new MalformedEventError('no-cloudevent', 'The CloudEvent has both data and data_base64')
  if (typeof encoded !== 'string')
    throw new MalformedEventError('no-cloudevent', "The CloudEvent's data_base64 is not text")
  return fromBase64(encoded)
}

/**
 * The JSON value encoded in a base64 text.
 * @throws MalformedEventError `not-json` if it is not base64 or contains no JSON.
 */
function fromBase64(text: string): unknown {
  const bytes = Buffer.from(text, 'base64')
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')
  if (!isWhole) throw new MalformedEventError('not-json', 'The data is not base64')
  return parseJson(bytes)
}

function toValue(entry: unknown): WireValue {
  if (!isObject(entry)) return { address: undefined, value: undefined }
  return { address: text(entry.ResourceAddress) ?? text(entry.resource), value: entry.value }
}

/** `{"ResourceType":"PTP","EventData":{"State":"Locked"},"ResourceQualifier":{"NodeName":…},"EventTimestamp":…}` */
function toStarlingxV1(body: Json, key: string | undefined): WireEvent | undefined {
  if (body.ResourceType !== 'PTP' || !isObject(body.EventData)) return undefined
  const node = isObject(body.ResourceQualifier) ? text(body.ResourceQualifier.NodeName) : undefined
  return {
    id: undefined,
    type: 'event.sync.ptp-status.ptp-state-change',
    source: '/sync/ptp-status/lock-state',
    subject: undefined,
    time: timeOf(body.EventTimestamp),
    values: [{ address: `/./${node || '.'}/sync/ptp-status/lock-state`, value: body.EventData.State }],
    key,
  }
}

/** Seconds since the epoch, as a number or as digits; anything else is kept as received. */
function timeOf(stamp: unknown): string | undefined {
  const isSeconds =
    typeof stamp === 'number' || (typeof stamp === 'string' && /^\d{1,12}(?:\.\d{1,9})?$/.test(stamp))
  const seconds = Number(stamp)
  return isSeconds && Math.abs(seconds) < 1e11 ? new Date(seconds * 1000).toISOString() : timeText(stamp)
}

/** Undefined if there is no time; a value of another type is kept as text, so that it is reported. */
function timeText(time: unknown): string | undefined {
  return typeof time === 'string'
    ? time
    : time === undefined || time === null
      ? undefined
      : JSON.stringify(time)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

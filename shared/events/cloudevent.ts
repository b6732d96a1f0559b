import { MalformedEventError } from '../errors.ts'
import { repairTime } from '../time.ts'
import { isObject, parseJson } from './wire.ts'

/** A CloudEvent as a Broker delivers it, its time as received: the SDK would cut it to milliseconds. */
export type CloudEvent = {
  readonly specversion: string
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string
  readonly time?: string
  readonly data: unknown
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * Reads a CloudEvents 1.0 delivery in binary or structured mode (CloudEvents HTTP binding 1.0.2, §3).
 * @throws MalformedEventError `unsupported-media-type` for a batch or a media type that is not JSON, else
 *   `not-json` or `no-cloudevent`; none of them is worth a retry.
 */
export function readCloudEvent(headers: Headers, body: Uint8Array): CloudEvent {
  const media = mediaType(headers['content-type'])
  if (media === 'application/cloudevents+json') return checked(parseJson(body))
  if (media?.startsWith('application/cloudevents') === true) throw unsupported(media)
  if (headers['ce-specversion'] === undefined) throw unsupported(media)
  if (media !== undefined && !isJson(media)) throw unsupported(media)
  return checked({ ...attributes(headers), data: body.byteLength === 0 ? undefined : parseJson(body) })
}

/** The `ce-*` headers of binary mode, percent-decoded (HTTP binding §3.1.3.2); header names are lower case. */
export function attributes(headers: Headers): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || typeof value !== 'string') continue
    found[name.slice(3)] = decode(value)
  }
  return found
}

function checked(event: unknown): CloudEvent {
  if (!isObject(event)) throw new MalformedEventError('no-cloudevent', 'The body is no CloudEvent')
  const required = (name: string): string => {
    const value = event[name]
    if (typeof value === 'string' && value !== '') return value
    throw new MalformedEventError('no-cloudevent', `The CloudEvent has no ${name}`)
  }
  const specversion = required('specversion')
  if (specversion !== '1.0') {
    throw new MalformedEventError('no-cloudevent', `CloudEvents ${specversion.slice(0, 20)} is not 1.0`)
  }
  const { subject, time } = event
  if (time !== undefined && (typeof time !== 'string' || repairTime(time) === undefined)) {
    throw new MalformedEventError('no-cloudevent', "The CloudEvent's time is no RFC 3339 time")
  }
  return {
    specversion,
    id: required('id'),
    source: required('source'),
    type: required('type'),
    ...(typeof subject === 'string' ? { subject } : {}),
    ...(time === undefined ? {} : { time }),
    data: event.data,
  }
}

function mediaType(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header.split(';', 1)[0]?.trim().toLowerCase() : undefined
}

function isJson(media: string): boolean {
  return media === 'application/json' || media === 'text/json' || media.endsWith('+json')
}

function unsupported(media: string | undefined): MalformedEventError {
  return new MalformedEventError(
    'unsupported-media-type',
    `${media ?? 'A body without a media type'} is no CloudEvent in binary or structured JSON mode`,
  )
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

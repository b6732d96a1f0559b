import type { CloudEventV1 } from 'cloudevents'
import { MalformedEventError } from '../errors.ts'
import { isNoTime, repairTime } from '../time.ts'
import { dataOf, isObject, parseJson } from './wire.ts'

/** A CloudEvent delivered by a Broker, with its time as received: the SDK's reader would cut it to milliseconds. */
export type CloudEvent = Readonly<CloudEventV1<unknown>>

type DeliveryHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * Reads a CloudEvents delivery in binary or structured mode (CloudEvents HTTP binding 1.0.2, §3); of 0.3, which the
 * transport of version 1 sends, the attributes that are read are the same.
 * @throws MalformedEventError `unsupported-media-type` for a batch or a media type that is not JSON, else
 *   `not-json` or `no-cloudevent`; none of them is worth a retry.
 */
export function readCloudEvent(headers: DeliveryHeaders, body: Uint8Array): CloudEvent {
  const media = mediaType(headers['content-type'])
  if (media === 'application/cloudevents+json') return checked(parseJson(body))
  if (media?.startsWith('application/cloudevents') === true) throw unsupported(media)
  if (headers['ce-specversion'] === undefined) throw unsupported(media)
  if (media !== undefined && !isJson(media)) throw unsupported(media)
  return checked({ ...attributes(headers), data: body.byteLength === 0 ? undefined : parseJson(body) })
}

/**
 * A binary-mode CloudEvent posted to the publishers' path, with any media type: v1's transport and Triggers send these.
 * If the body is itself a whole event, that counts.
 * @throws MalformedEventError if the body is not JSON or a header cannot be decoded.
 */
export function fromBinary(headers: DeliveryHeaders, body: Uint8Array): unknown {
  const data = parseJson(body)
  return isObject(data) && Array.isArray(data.values) ? { ...attributes(headers), data } : data
}

/**
 * The `ce-*` headers of binary mode, unquoted and percent-decoded (HTTP binding §3.1.3.2); header names are lower case.
 * @throws MalformedEventError `no-cloudevent` if an encoding is broken or not UTF-8.
 */
export function attributes(headers: DeliveryHeaders): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || typeof value !== 'string') continue
    found[name.slice(3)] = decode(name, value)
  }
  return found
}

function checked(event: unknown): CloudEvent {
  if (!isObject(event)) throw new MalformedEventError('no-cloudevent', 'The body is not a CloudEvent')
  const required = (name: string): string => {
    const value = event[name]
    if (typeof value === 'string' && value !== '') return value
    throw new MalformedEventError('no-cloudevent', `The CloudEvent has no ${name}`)
  }
  const specversion = required('specversion')
  if (specversion !== '1.0' && specversion !== '0.3') {
    throw new MalformedEventError(
      'no-cloudevent',
      `CloudEvents ${specversion.slice(0, 20)} is neither 1.0 nor 0.3`,
    )
  }
  const { subject } = event
  const time = isNoTime(event.time) ? undefined : event.time
  if (time !== undefined && (typeof time !== 'string' || repairTime(time) === undefined)) {
    throw new MalformedEventError('no-cloudevent', "The CloudEvent's time is not an RFC 3339 time")
  }
  return {
    specversion,
    id: required('id'),
    source: required('source'),
    type: required('type'),
    ...(typeof subject === 'string' ? { subject } : {}),
    ...(time === undefined ? {} : { time }),
    data: dataOf(event),
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
    `${media ?? 'A body without a media type'} is not a CloudEvent in binary or structured JSON mode`,
  )
}

/** Quotes first, then percent-encoding, each once. */
function decode(name: string, value: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(value) ?? []
  const plain = quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1')
  try {
    return decodeURIComponent(plain)
  } catch (cause) {
    throw new MalformedEventError('no-cloudevent', `The header ${name} is not properly percent-encoded`, {
      cause,
    })
  }
}

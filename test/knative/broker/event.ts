import type { IncomingHttpHeaders } from 'node:http'
import * as z from 'zod/mini'

/** How an event travels over HTTP (CloudEvents HTTP binding 1.0.2). */
export type Mode = 'binary' | 'structured'

/** An event as a Broker holds it. Written without our own reader, so that neither is checked against itself. */
export type CloudEvent = {
  /** Required ones, optional ones and extensions, as text; `datacontenttype` among them. */
  readonly attributes: Readonly<Record<string, string>>
  readonly data: Buffer
}

export type Message = { readonly headers: Record<string, string>; readonly body: Buffer }

const STRUCTURED = 'application/cloudevents+json'
const REQUIRED = ['specversion', 'id', 'source', 'type'] as const

/** What a head says of its body: an event in either mode, or nothing of the kind. */
export function modeOf(headers: IncomingHttpHeaders): Mode | undefined {
  if (headers['content-type']?.startsWith(STRUCTURED)) return 'structured'
  return headers['ce-specversion'] === undefined ? undefined : 'binary'
}

/** Undefined where the message is no event, or lacks what every event has. */
export function readEvent(headers: IncomingHttpHeaders, body: Buffer): CloudEvent | undefined {
  const mode = modeOf(headers)
  if (mode === undefined) return undefined
  try {
    const event = mode === 'binary' ? readBinary(headers, body) : readStructured(body)
    return event !== undefined && REQUIRED.every((name) => event.attributes[name]) ? event : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof URIError) return undefined
    throw error
  }
}

function readBinary(headers: IncomingHttpHeaders, data: Buffer): CloudEvent {
  const attributes: Record<string, string> = {}
  for (const [name, text] of Object.entries(headers)) {
    if (name.startsWith('ce-') && typeof text === 'string')
      attributes[name.slice(3)] = decodeURIComponent(text)
  }
  if (headers['content-type'] !== undefined) attributes.datacontenttype = headers['content-type']
  return { attributes, data }
}

const attribute = z.union([z.string(), z.number(), z.boolean()])

function readStructured(body: Buffer): CloudEvent | undefined {
  const object = z.looseObject({}).safeParse(JSON.parse(String(body)))
  if (!object.success) return undefined
  const { data, ...others } = object.data
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(others)) {
    const { success, data: text } = attribute.safeParse(value)
    if (!success) return undefined
    attributes[name] = String(text)
  }
  return { attributes, data: Buffer.from(data === undefined ? '' : JSON.stringify(data)) }
}

export function writeEvent({ attributes, data }: CloudEvent, mode: Mode): Message {
  const { datacontenttype, ...others } = attributes
  if (mode === 'structured') {
    const body = JSON.stringify({ ...attributes, ...dataMember(data) })
    return { headers: { 'content-type': STRUCTURED }, body: Buffer.from(body) }
  }
  const headers = Object.fromEntries(
    Object.entries(others).map(([name, text]) => [`ce-${name}`, headerOf(text)]),
  )
  return { headers: { ...headers, ...(datacontenttype && { 'content-type': datacontenttype }) }, body: data }
}

/** JSON event format 1.0.2, §3.1: what is no JSON is told in base64. */
function dataMember(data: Buffer): { data?: unknown; data_base64?: string } {
  if (data.length === 0) return {}
  try {
    return { data: JSON.parse(String(data)) }
  } catch {
    return { data_base64: data.toString('base64') }
  }
}

/** HTTP binding §3.1.3.2. */
function headerOf(text: string): string {
  return text.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) => encodeURIComponent(character))
}

/** As somebody makes one: the data is JSON. */
export function createEvent(attributes: Readonly<Record<string, string>>, data: unknown): CloudEvent {
  const all = { specversion: '1.0', datacontenttype: 'application/json', ...attributes }
  return { attributes: all, data: Buffer.from(JSON.stringify(data)) }
}

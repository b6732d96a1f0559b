import type { Callback } from '#shared/callback.ts'
import { MalformedEventError } from '#shared/errors.ts'
import { fromBinary, readCloudEvent } from '#shared/events/cloudevent.ts'
import { parseJson } from '#shared/events/wire.ts'
import {
  ACCEPTED,
  type Admit,
  errorReply,
  type HttpFunction,
  type HttpHead,
  type HttpRequest,
  methodNotAllowed,
  NO_CONTENT,
  notFound,
  pathSegments,
  type Reply,
} from '#shared/runtime/reply.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import { isOverfull, MOST_EVENTS, MOST_VALUES } from './bounds.ts'
import type { Receiver } from './receive.ts'

/** What we emit ourselves: taken in again it would go round for ever. */
const OWN_TYPES = 'ptpwatch.'

export type IngestDeps = {
  readonly receiver: Receiver
  readonly callback: Callback
  readonly clock: Clock
}

/**
 * The publishers' callback, `POST /event[/<node>[/<token>]]`, and a Broker's deliveries,
 * `POST /cloudevents[/<token>]` (design.md §5 has the table of replies).
 */
export function createIngestHandler({ receiver, callback, clock }: IngestDeps): {
  handle: HttpFunction
  admit: Admit
} {
  /** A publisher's notification. Its media type is not looked at: publishers send what they like. */
  const event = (node: string | undefined, { headers, body }: HttpRequest): Promise<Reply> | Reply => {
    // A v1 sidecar posts an empty body to see whether the endpoint answers 204 (protocol.md §2.3).
    if (body.byteLength === 0) return NO_CONTENT
    let json: unknown
    try {
      json = headers['ce-type'] === undefined ? parseJson(body) : fromBinary(headers, body)
    } catch (error) {
      if (error instanceof MalformedEventError) return errorReply(400, error.code, error.message)
      throw error
    }
    if (isOverfull(json)) return OVERFULL
    const receivedAt = isoTime(clock.now())
    const reception = {
      node,
      body,
      receivedAt,
      via: 'push',
      buffer: true,
      trusted: callback.secured,
    } as const
    return receiver.receive(json, reception).then((stored) => (stored ? NO_CONTENT : NOT_STORED))
  }

  const cloudEvent = async ({ headers, body }: HttpRequest): Promise<Reply> => {
    try {
      const delivered = readCloudEvent(headers, body)
      if (delivered.type.startsWith(OWN_TYPES)) {
        receiver.dropOwn()
        return ACCEPTED
      }
      if (isOverfull(delivered)) return OVERFULL
      const context = { node: undefined, receivedAt: isoTime(clock.now()), via: 'broker' } as const
      const poison = receiver.check(delivered, context)
      if (poison !== undefined) return errorReply(400, poison.code, poison.message)
      // What is not stored is for the Broker to keep: it repeats what gets a 503.
      const stored = await receiver.receive(delivered, {
        ...context,
        body,
        buffer: false,
        trusted: callback.secured,
      })
      return stored ? ACCEPTED : NOT_STORED
    } catch (error) {
      if (!(error instanceof MalformedEventError)) throw error
      return errorReply(error.code === 'unsupported-media-type' ? 415 : 400, error.code, error.message)
    }
  }

  /** Paths that were found to lead somewhere, their tokens to be good: both stay so while this process runs. */
  const opened = new Map<string, Door>()

  const enter = (door: Door, request: HttpRequest) =>
    door.is === 'broker' ? cloudEvent(request) : event(door.node, request)

  /** Where a request leads, or why it is refused. */
  const route = ({ method, path }: HttpHead): Door | Reply => {
    const known = opened.get(path)
    if (known !== undefined && method === 'POST') return known
    const copy = copyOf(path)
    const segments = pathSegments(copy)
    if (segments === undefined) return errorReply(400, 'path', 'The path is not properly encoded')
    const [name, ...rest] = segments
    const depth = name === 'event' ? 2 : name === 'cloudevents' ? 1 : -1
    if (rest.length > depth || rest.includes('')) return notFound()
    if (method !== 'POST') return methodNotAllowed(['POST'])
    const door = name === 'cloudevents' ? brokerDoor(callback, rest) : eventDoor(callback, rest)
    if (door === undefined) return FORBIDDEN
    if (isWorthKeeping(copy) && opened.size < MOST_OPENED) opened.set(copy, door)
    return door
  }

  return {
    handle(request) {
      const found = route(request)
      return 'status' in found ? found : enter(found, request)
    },
    admit(head) {
      const found = route(head)
      return 'status' in found ? found : undefined
    },
  }
}

/** Where a path leads once its token was found to be good. */
type Door = { readonly is: 'event'; readonly node: string | undefined } | { readonly is: 'broker' }

/** Without bounds a sender that may name any node could fill the memory with paths. */
const MOST_OPENED = 20_000
const LONGEST_OPENED = 400

/** A name can be percent-encoded in any number of ways, and publishers have no need to. */
function isWorthKeeping(path: string): boolean {
  return path.length <= LONGEST_OPENED && !path.includes('%')
}

/** V8 keeps the whole of a text, here with a query of any length, for the sake of a part of it. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}

function brokerDoor(callback: Callback, [token = '']: readonly string[]): Door | undefined {
  return callback.secured && !callback.verifyBroker(token) ? undefined : { is: 'broker' }
}

function eventDoor(callback: Callback, [node, token = '']: readonly string[]): Door | undefined {
  if (callback.secured && (node === undefined || !callback.verify(node, token))) return undefined
  // What waits for the store keeps its node, and not the whole of its path.
  return { is: 'event', node: node === undefined ? undefined : copyOf(node) }
}

const OVERFULL = errorReply(
  413,
  'too-large',
  `The body has more than ${MOST_EVENTS} events or ${MOST_VALUES} values`,
)
const NOT_STORED = errorReply(503, 'store', 'The store did not take the event')
const FORBIDDEN = errorReply(403, 'forbidden', 'The path holds no token that is valid for it')

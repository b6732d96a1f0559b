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
import type { Receiver } from './receive.ts'

/** The types of our own events: accepting them again would create a loop. */
const OWN_TYPES = 'ptpwatch.'

type IngestDeps = {
  readonly receiver: Receiver
  readonly callback: Callback
  readonly clock: Clock
}

/** Where a path with a valid token leads. */
type Door = { readonly is: 'event'; readonly node: string | undefined } | { readonly is: 'broker' }

/**
 * The publishers' callback, `POST /event[/<node>[/<token>]]`, and a Broker's deliveries, `POST /cloudevents[/<token>]`
 * (design.md §5 has the table of replies).
 */
export function createIngestHandler({ receiver, callback, clock }: IngestDeps): {
  handle: HttpFunction
  admit: Admit
} {
  /** A publisher's notification. Its media type is ignored: publishers send anything. */
  const event = async (name: string | undefined, { headers, body }: HttpRequest): Promise<Reply> => {
    // A v1 sidecar posts an empty body to check that the endpoint answers 204 (protocol.md §2.3).
    if (body.byteLength === 0) return NO_CONTENT
    const json = headers['ce-type'] === undefined ? parseJson(body) : fromBinary(headers, body)
    // Copied: a slice would keep the whole URL, up to 8 KiB, in memory with each waiting event.
    const node = name && Buffer.from(name).toString()
    const receivedAt = isoTime(clock.now())
    const isStored = await receiver.receive(json, { node, body, receivedAt, via: 'push' })
    return isStored ? NO_CONTENT : NOT_STORED
  }

  const cloudEvent = async ({ headers, body }: HttpRequest): Promise<Reply> => {
    const delivered = readCloudEvent(headers, body)
    if (delivered.type.startsWith(OWN_TYPES)) {
      receiver.dropOwn()
      return ACCEPTED
    }
    const receivedAt = isoTime(clock.now())
    const isStored = await receiver.receive(delivered, { body, receivedAt, via: 'broker' })
    return isStored ? ACCEPTED : NOT_STORED
  }

  /** Where a request leads, or why it is refused. */
  const route = ({ method, path }: HttpHead): Door | Reply => {
    const segments = pathSegments(path)
    if (segments === undefined) return errorReply(400, 'path', 'The path is not properly encoded')
    const [name, ...rest] = segments
    const depth = name === 'event' ? 2 : name === 'cloudevents' ? 1 : -1
    if (rest.length > depth || rest.includes('')) return notFound()
    if (method !== 'POST') return methodNotAllowed(['POST'])
    if (name === 'cloudevents') {
      const [token = ''] = rest
      return callback.secured && !callback.verifyBroker(token) ? FORBIDDEN : { is: 'broker' }
    }
    const [node, token = ''] = rest
    const isVerified = !callback.secured || (node !== undefined && callback.verify(node, token))
    return isVerified ? { is: 'event', node } : FORBIDDEN
  }

  return {
    async handle(request) {
      const found = route(request)
      if ('status' in found) return found
      try {
        return await (found.is === 'broker' ? cloudEvent(request) : event(found.node, request))
      } catch (error) {
        if (!(error instanceof MalformedEventError)) throw error
        return errorReply(STATUS_OF_CODE[error.code] ?? 400, error.code, error.message)
      }
    },
    admit(head) {
      const found = route(head)
      return 'status' in found ? found : undefined
    },
  }
}

const STATUS_OF_CODE: Readonly<Record<string, number>> = { 'unsupported-media-type': 415, 'too-large': 413 }

const NOT_STORED = errorReply(503, 'store', 'The store did not accept the event; retry')
const FORBIDDEN = errorReply(403, 'forbidden', 'Missing or invalid callback token')

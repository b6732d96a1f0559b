import type { Callback } from '#shared/callback.ts'
import { MalformedEventError } from '#shared/errors.ts'
import { readCloudEvent } from '#shared/events/cloudevent.ts'
import { parseJson } from '#shared/events/wire.ts'
import {
  ACCEPTED,
  errorReply,
  type HttpFunction,
  type HttpRequest,
  methodNotAllowed,
  NO_CONTENT,
  notFound,
  pathSegments,
  type Reply,
} from '#shared/runtime/http.ts'
import { type Clock, isoTime } from '#shared/time.ts'
import type { Receiver } from './receive.ts'

/** Publishers wait 2 s for an answer and never ask again (protocol.md §4.2). Milliseconds. */
const CALLBACK_BUDGET = 1_500

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
export function createIngestHandler({ receiver, callback, clock }: IngestDeps): HttpFunction {
  /** A publisher's notification. Its media type is not looked at: publishers send what they like. */
  const event = async (node: string | undefined, body: Uint8Array): Promise<Reply> => {
    // A v1 sidecar posts an empty body to see whether the endpoint answers 204 (protocol.md §2.3).
    if (body.byteLength === 0) return NO_CONTENT
    let json: unknown
    try {
      json = parseJson(body)
    } catch (error) {
      if (error instanceof MalformedEventError) return errorReply(400, error.code, error.message)
      throw error
    }
    const receivedAt = isoTime(clock.now())
    const stored = await within(
      CALLBACK_BUDGET,
      receiver.receive(json, { node, receivedAt, via: 'push', buffer: true, trusted: callback.secured }),
    )
    if (stored) return NO_CONTENT
    return errorReply(503, 'store', 'The store does not answer; the event waits here for it')
  }

  const cloudEvent = async ({ headers, body }: HttpRequest): Promise<Reply> => {
    try {
      const delivered = readCloudEvent(headers, body)
      if (delivered.type.startsWith(OWN_TYPES)) {
        receiver.dropOwn()
        return ACCEPTED
      }
      const context = { node: undefined, receivedAt: isoTime(clock.now()), via: 'broker' } as const
      const poison = receiver.check(delivered, context)
      if (poison !== undefined) return errorReply(400, poison.code, poison.message)
      // What is not stored is for the Broker to keep: it repeats what gets a 503.
      const stored = await receiver.receive(delivered, {
        ...context,
        buffer: false,
        trusted: callback.secured,
      })
      return stored ? ACCEPTED : errorReply(503, 'store', 'The store does not answer')
    } catch (error) {
      if (!(error instanceof MalformedEventError)) throw error
      return errorReply(error.code === 'unsupported-media-type' ? 415 : 400, error.code, error.message)
    }
  }

  return async (request) => {
    const segments = pathSegments(request.path)
    if (segments === undefined) return errorReply(400, 'path', 'The path is not properly encoded')
    const [name, ...rest] = segments
    const depth = name === 'event' ? 2 : name === 'cloudevents' ? 1 : -1
    if (rest.length > depth || rest.includes('')) return notFound()
    if (request.method !== 'POST') return methodNotAllowed(['POST'])
    if (name === 'cloudevents') {
      if (callback.secured && !callback.verifyBroker(rest[0] ?? '')) return FORBIDDEN
      return cloudEvent(request)
    }
    const [node, token = ''] = rest
    if (callback.secured && (node === undefined || !callback.verify(node, token))) return FORBIDDEN
    return event(node, request.body)
  }
}

const FORBIDDEN = errorReply(403, 'forbidden', 'The path holds no token that is valid for it')

/** The work's answer, or false when it takes longer than `ms`; it goes on nonetheless. */
async function within(ms: number, work: Promise<boolean>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, ms, false)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

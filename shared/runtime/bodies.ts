import type { IncomingMessage } from 'node:http'
import { errorReply, type Reply, tooLarge } from './reply.ts'

export type BodyLimits = {
  /** A larger body is answered 413. */
  readonly bodyBytes: number
  /** What all bodies hold together, from their first byte until their replies. Beyond it, 503. */
  readonly bodiesBytes: number
}

/** What becomes of one body. `release` is to be called once it is no longer needed. */
type Taker = {
  readonly onWhole: (body: Uint8Array, release: () => void) => void
  /** Called at most once, and instead of `onWhole`. The rest of the body is still to be read. */
  readonly onRefused: (reply: Reply) => void
}

/** Several times the largest that a publisher was seen to send (docs/hosting.md). Bytes. */
export const SMALL_BODY = 8 * 1024

/**
 * Takes bodies into memory that is bounded for all of them together. What a client holds open costs no one else: when
 * there is no room, the body that has been arriving for longest gives way. Larger bodies get no more than three quarters.
 */
export function createBodies({ bodyBytes, bodiesBytes }: BodyLimits) {
  let held = 0
  /** How to stop those that are still arriving, in the order in which they began. */
  const arriving = new Set<(reply: Reply) => void>()

  return (request: IncomingMessage, { onWhole, onRefused }: Taker): void => {
    let buffer: Uint8Array = EMPTY
    let size = 0
    let pieces = 0

    // Listeners stay where they are: to take them off costs more than to call them.
    let isOver = false

    const leave = () => {
      isOver = true
      arriving.delete(stop)
    }
    const onGone = () => {
      if (isOver) return
      leave()
      held -= buffer.length
      buffer = EMPTY
    }
    const stop = (reply: Reply) => {
      onGone()
      onRefused(reply)
    }
    const onEnd = () => {
      if (isOver) return
      leave()
      const { length } = buffer
      onWhole(buffer.subarray(0, size), () => {
        held -= length
      })
    }
    const onData = (chunk: Uint8Array) => {
      if (isOver) return
      const needed = size + chunk.length
      pieces += 1
      if (needed > bodyBytes) return stop(tooLarge(bodyBytes))
      if (pieces > FREE_PIECES && needed < pieces * LEAST_PIECE) return stop(SPLINTERED)
      if (needed > buffer.length) {
        // Nearly every body comes in one piece. One that comes byte by byte is not kept as so many pieces.
        const larger = size === 0 ? chunk : Buffer.allocUnsafeSlow(Math.min(bodyBytes, 2 * needed + 256))
        if (size > 0) larger.set(buffer.subarray(0, size))
        held += larger.length - buffer.length
        buffer = larger
      }
      if (size > 0) buffer.set(chunk, size)
      size = needed
      const room = size > SMALL_BODY ? 0.75 * bodiesBytes : bodiesBytes
      while (held > room && arriving.has(stop)) {
        const [longest = stop] = arriving
        longest(TOO_MANY)
      }
    }
    arriving.add(stop)
    request.on('data', onData).on('end', onEnd).on('close', onGone)
  }
}

/** A chunk of a byte costs as much as one of a thousand: past the first few, pieces have this length on average. Bytes. */
const LEAST_PIECE = 256
const FREE_PIECES = 200

/** Whether anything follows the head. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

export const SPLINTERED = errorReply(413, 'too-large', 'The body comes in too many small pieces')
const TOO_MANY = errorReply(503, 'busy', 'Too many large or slow bodies at once', { 'retry-after': '1' })
const EMPTY = new Uint8Array(0)

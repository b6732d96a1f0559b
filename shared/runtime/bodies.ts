import type { IncomingMessage } from 'node:http'
import { errorReply, type Reply, tooLarge } from './reply.ts'

export type BodyLimits = {
  /** A larger body is answered 413. */
  readonly bodyBytes: number
  /** The limit for all bodies together, each counted from its first byte until its reply; beyond it, 503. */
  readonly bodiesBytes: number
}

/** What to do with a body: exactly one of the two is called, or neither if the client goes away. */
type Taker = {
  /** Call `release` once the body is no longer needed. */
  readonly onWhole: (body: Uint8Array, release: () => void) => void
  /** The rest of the body has not been read yet. */
  readonly onRefused: (reply: Reply) => void
}

/** Several times the largest body seen from a publisher (docs/hosting.md). Bytes. */
export const SMALL_BODY = 8 * 1024

/** A one-byte chunk costs as much as a large one: after the first few, chunks must average this size. Bytes. */
const LEAST_CHUNK = 256
const FREE_CHUNKS = 200

/**
 * Reads bodies into memory with one limit for all of them. When it is full, the body that has been arriving for the
 * longest is dropped. Bodies above {@link SMALL_BODY} may use three quarters of it.
 */
export function createBodies({ bodyBytes, bodiesBytes }: BodyLimits) {
  let held = 0
  /** Refuses a body that is still arriving; oldest first. */
  const arriving = new Set<(reply: Reply) => void>()

  return (request: IncomingMessage, { onWhole, onRefused }: Taker): void => {
    let buffer: Uint8Array = EMPTY
    let size = 0
    let chunks = 0

    /** False if it was already finished or refused. */
    const leave = () => arriving.delete(refuse)
    const release = () => {
      held -= buffer.length
      buffer = EMPTY
    }
    const refuse = (reply: Reply) => {
      if (!leave()) return
      release()
      onRefused(reply)
    }
    arriving.add(refuse)

    request.on('data', (chunk: Uint8Array) => {
      if (!arriving.has(refuse)) return
      const needed = size + chunk.length
      chunks += 1
      if (needed > bodyBytes) return refuse(tooLarge(bodyBytes))
      if (chunks > FREE_CHUNKS && needed < chunks * LEAST_CHUNK) return refuse(SPLINTERED)
      if (needed > buffer.length) {
        // Nearly every body arrives in one chunk, which is kept as it is.
        const larger = size === 0 ? chunk : Buffer.allocUnsafeSlow(Math.min(bodyBytes, 2 * needed + 256))
        if (size > 0) larger.set(buffer.subarray(0, size))
        held += larger.length - buffer.length
        buffer = larger
      }
      if (size > 0) buffer.set(chunk, size)
      size = needed
      const room = size > SMALL_BODY ? 0.75 * bodiesBytes : bodiesBytes
      while (held > room && arriving.has(refuse)) {
        const [longest = refuse] = arriving
        longest(TOO_MANY)
      }
    })
    request.on('end', () => {
      if (leave()) onWhole(buffer.subarray(0, size), release)
    })
    request.on('close', () => {
      if (leave()) release()
    })
  }
}

/** Whether anything follows the head. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

export const SPLINTERED = errorReply(413, 'too-large', 'The body comes in too many small pieces')
const TOO_MANY = errorReply(503, 'busy', 'Too many large or slow bodies at once', { 'retry-after': '1' })
const EMPTY = new Uint8Array(0)

import type { IncomingMessage, ServerResponse } from 'node:http'
import * as http from './light-http.ts'

/** What becomes of the bodies of a server's requests. */
export type Bodies = {
  /** How many bytes a body may have. */
  readonly limit: number
  readonly onWhole: (request: IncomingMessage, response: ServerResponse, body: Uint8Array) => void
  /** Has the reply written, but not ended: that is done when all of the body has come. */
  readonly onTooLarge: (request: IncomingMessage, response: ServerResponse) => void
}

/**
 * The requests of a server (its option `IncomingMessage`), which keep what node:http's parser pushes into them and can
 * not be read as streams. A stream would have the body wait for its reader, the end for another tick and the close for
 * a third: 14 % of the processor time of a request that is only parsed and answered. That is why there is a class here.
 */
export function createIncoming({ limit, onWhole, onTooLarge }: Bodies) {
  return class extends http.IncomingMessage {
    private response: ServerResponse | undefined
    private first: Buffer | undefined
    private more: Buffer[] | undefined
    private size = 0
    private refused = false

    /** Has the body collected. Without it the body is dropped. */
    collect(response: ServerResponse): void {
      this.response = response
      // A request that nobody has begun to read is begun, and read to its end, by node:http after the reply.
      this.read(0)
    }

    /** Has `onTooLarge` reply before there is a body. */
    refuse(response: ServerResponse): void {
      this.collect(response)
      this.refused = true
      onTooLarge(this, response)
    }

    override push(chunk: Buffer | null): boolean {
      const { response, first, more } = this
      if (response === undefined) return true
      if (chunk === null) {
        // The parser holds on to the last request of a connection that is idle.
        this.response = this.first = this.more = undefined
        if (this.refused) response.end()
        else onWhole(this, response, more === undefined ? (first ?? EMPTY) : Buffer.concat(more, this.size))
      } else if (!this.refused) {
        this.size += chunk.length
        if (this.size > limit) {
          this.first = this.more = undefined
          this.refuse(response)
        } else if (first === undefined) {
          this.first = chunk
        } else if (more === undefined) {
          this.more = [first, chunk]
        } else {
          more.push(chunk)
        }
      }
      return true
    }
  }
}

const EMPTY = new Uint8Array(0)

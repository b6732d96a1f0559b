import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Connection = {
  /** Where it stands among those that may be closed. */
  place: Set<Socket>
  /** Complete requests that are not answered yet: meanwhile it is not closed to make room. */
  answering: number
  /** The request whose body is arriving. */
  arriving: IncomingMessage | undefined
  /** Responses that are not written completely. */
  unfinished: number
  /** It has had a response other than 4xx. */
  proven: boolean
  /** It was refused, and stays open only until it has read the reply. */
  refused: boolean
  /** Called once everything is answered. */
  end: (() => void) | undefined
}

/** Publishers and proxies wait for each response before they send the next request. */
const MOST_PIPELINED = 8

/**
 * Limits the number of connections, and of requests pipelined over one. `server.maxConnections` would let those that
 * came first lock out all others.
 */
export function createConnections(limits: { connections: number; keepAliveTimeout: number }) {
  const all = new Map<Socket, Connection>()
  /**
   * Those that may be closed to make room, unless they are being answered: refused, unproven, proven; in each the one
   * that has sent nothing for longest first.
   */
  const [refused, unproven, proven] = [new Set<Socket>(), new Set<Socket>(), new Set<Socket>()]

  /** Puts a connection last of its kind. */
  const place = (socket: Socket, one: Connection) => {
    one.place.delete(socket)
    one.place = one.refused ? refused : one.proven ? proven : unproven
    one.place.add(socket)
  }
  const gone = (socket: Socket) => {
    all.get(socket)?.place.delete(socket)
    all.delete(socket)
  }
  const closeSpare = (): boolean => {
    for (const kind of [refused, unproven, proven]) {
      for (const socket of kind) {
        if (kind !== refused && all.get(socket)?.answering !== 0) continue
        gone(socket)
        socket.destroy()
        return true
      }
    }
    return false
  }

  return {
    opened(socket: Socket): void {
      if (all.size >= limits.connections && !closeSpare()) {
        socket.destroy()
        return
      }
      const nothing = { answering: 0, unfinished: 0, arriving: undefined, end: undefined }
      const one = { ...nothing, place: unproven, proven: false, refused: false }
      all.set(socket, one)
      place(socket, one)
      socket.once('close', () => gone(socket))
    },

    /** The head of a request has arrived. False: there were too many on this connection, which is closed. */
    begins(request: IncomingMessage, response: ServerResponse): boolean {
      const { socket } = request
      const one = all.get(socket)
      if (one === undefined || one.unfinished > MOST_PIPELINED) {
        socket.destroy()
        return false
      }
      one.arriving = request
      one.unfinished += 1
      response.once('close', () => {
        one.unfinished -= 1
      })
      place(socket, one)
      return true
    },

    /** A request is complete. */
    whole(socket: Socket): void {
      const one = all.get(socket)
      if (one === undefined) return
      one.arriving = undefined
      one.answering += 1
    },

    answered(socket: Socket, status: number): void {
      const one = all.get(socket)
      if (one === undefined) return
      one.answering -= 1
      if (!one.proven && (status < 400 || status >= 500)) {
        one.proven = true
        place(socket, one)
      }
      if (one.refused || one.answering > 0) return
      one.end?.()
      // Node.js starts this timeout only when the client has read the response.
      if (one.end === undefined && socket.writableLength > 0) socket.setTimeout(limits.keepAliveTimeout)
    },

    refused(socket: Socket): void {
      const one = all.get(socket)
      if (one === undefined) return
      one.refused = true
      place(socket, one)
    },

    isRefused: (socket: Socket): boolean => all.get(socket)?.refused === true,

    /** Nothing more can be read from it: calls `end` once all earlier requests are answered. */
    broken(socket: Socket, end: () => void): void {
      const one = all.get(socket)
      if (one === undefined || (one.answering === 0 && one.arriving?.complete !== true)) end()
      else one.end = end
    },
  }
}

/** Larger than nearly every notification with its head, so that those pass in one piece. Bytes. */
const PIECE = 2_048

/**
 * Hands what was read of a connection to node:http in small pieces, until it is closed. Node.js has no option for it:
 * it reads 64 KiB and makes objects of all requests in there, up to 1,700, before the first is answered. Without this,
 * some fifty connections with thousands of pipelined requests exhaust the memory of ingest.
 */
export function readInPieces(socket: Socket): void {
  const parsers = socket.listeners('data')
  socket.removeAllListeners('data')
  socket.on('data', (read: Buffer) => {
    for (let start = 0; start < read.length && !socket.destroyed; start += PIECE) {
      for (const parse of parsers) parse.call(socket, read.subarray(start, start + PIECE))
    }
  })
}

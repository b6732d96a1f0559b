import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Connection = {
  /** The set it is in, by how readily it may be closed. */
  place: Set<Socket>
  /** Complete requests not answered yet; while there are any, it is not closed to make room. */
  answering: number
  /** The request whose body is arriving. */
  arriving: IncomingMessage | undefined
  /** Responses not fully written yet. */
  unfinished: number
  /** It has been given a response other than 4xx. */
  proven: boolean
  /** It was refused, and stays open only until the client has read the reply. */
  refused: boolean
  /** Called once every request is answered. */
  end: (() => void) | undefined
}

/** Publishers and proxies wait for each response before they send the next request. */
const MOST_PIPELINED = 8

/**
 * Limits the number of connections, and of requests pipelined on each. With `server.maxConnections` the first clients
 * could lock out all others.
 */
export function createConnections(limits: { connections: number; keepAliveTimeout: number }) {
  const all = new Map<Socket, Connection>()
  /**
   * Those that may be closed to make room unless they are being answered, in this order: refused, unproven, proven.
   * Within each set the connection idle the longest goes first.
   */
  const [refused, unproven, proven] = [new Set<Socket>(), new Set<Socket>(), new Set<Socket>()]

  /** Moves a connection to the end of its set. */
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

    /** The head of a request has arrived. False: too many are pending on this connection, and it was closed. */
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
      // Node.js starts this timeout only after the client has read the response.
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

/** Larger than nearly every notification including its head, so that those pass in one piece. Bytes. */
const PIECE = 2_048

/**
 * Passes what was read from a connection to node:http in small pieces. Node.js has no option for this: it reads 64
 * KiB at a time and creates objects for every request in them, up to 1,700, before the first is answered. Without
 * this, some fifty connections with thousands of pipelined requests exhaust the memory of ingest.
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

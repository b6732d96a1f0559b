import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export type ConnectionLimits = {
  /** How many connections are open at once; one more closes the one that can best be spared. */
  readonly connections: number
  /** From the connection, or the first byte of a request, to the end of its head. Milliseconds. */
  readonly headersTimeout: number
  /** From the first byte of a request to the last of its body. Milliseconds. */
  readonly requestTimeout: number
  /** Publishers keep idle connections for 90 s; a POST that meets our close is lost (protocol.md §4.2). Milliseconds. */
  readonly keepAliveTimeout: number
  /** How often timeouts are looked for. Milliseconds. */
  readonly checkingInterval: number
}

export type Connections = {
  /** The head of a request has come; its body, if it has one, is arriving. */
  head(request: IncomingMessage, hasBody: boolean): void
  /**
   * Its reply has to wait for those before it, which the client has not read yet. Closes the connection, and gives false,
   * where that many wait: what is read at once may hold a thousand requests, and each costs as much as a connection.
   */
  waits(request: IncomingMessage, response: ServerResponse): boolean
  /** All of the request has come. */
  whole(socket: Socket): void
  answered(socket: Socket, ok: boolean): void
  /** It was told to go, and is open only until it has read that. */
  refused(socket: Socket): void
  isRefused(socket: Socket): boolean
  /** Nothing more can be read from it: runs `end` once the requests before that are answered. */
  broken(socket: Socket, end: () => void): void
  close(): void
}

type Connection = {
  /** What it has us wait for. */
  phase: 'request' | 'body' | 'nothing' | 'end'
  /** Since when, by our monotonic clock; undefined while no byte of a request was seen. */
  since: number | undefined
  /** The end of the last reply, or the connection: since when it is idle. */
  idleSince: number
  /** How many bytes it had sent by then. */
  bytes: number
  /** It has had a reply that was no refusal. */
  proven: boolean
  inFlight: number
  /** Replies that wait for others to be read. */
  waiting: number
  /** The request whose body is arriving. */
  arriving: IncomingMessage | undefined
  /** What is still to be done once all is answered. */
  end: (() => void) | undefined
}

/** Publishers and proxies wait for each reply before they send the next request. */
const MOST_WAITING = 8

/** How many connections are closed in one turn of the event loop. */
const CLOSED_AT_ONCE = 20

/**
 * Bounds connections in number and in time. node:http has times of its own, but closes all connections that expire
 * together in one go, during which nobody is served; and a number of its own, by which those who came first keep all
 * others out.
 */
export function createConnections(
  server: { on(event: 'connection', listener: (socket: Socket) => void): unknown },
  limits: ConnectionLimits,
  /** Has to close a connection: it is idle, or too slow with a request, which may be answered. */
  onTimeout: (socket: Socket, inRequest: boolean) => void,
): Connections {
  const all = new Map<Socket, Connection>()
  /** Those that can be spared, in this order, and in each the one that has waited for longest first. */
  const refused = new Set<Socket>()
  const unproven = new Set<Socket>()
  const proven = new Set<Socket>()
  /** What has expired and is yet to be closed. */
  let expired: Socket[] = []

  const spare = (socket: Socket, among?: Set<Socket>) => {
    refused.delete(socket)
    unproven.delete(socket)
    proven.delete(socket)
    among?.add(socket)
  }

  const makeRoom = (): boolean => {
    for (const among of [refused, unproven, proven]) {
      for (const socket of among) {
        spare(socket)
        all.delete(socket)
        socket.destroy()
        return true
      }
    }
    return false
  }

  server.on('connection', (socket) => {
    if (all.size >= limits.connections && !makeRoom()) {
      socket.destroy()
      return
    }
    const idleSince = performance.now()
    const nothing = {
      phase: 'request',
      since: undefined,
      bytes: 0,
      proven: false,
      inFlight: 0,
      waiting: 0,
      arriving: undefined,
      end: undefined,
    } as const
    all.set(socket, { ...nothing, idleSince })
    unproven.add(socket)
    socket.once('close', () => {
      all.delete(socket)
      spare(socket)
    })
  })

  const isExpired = (socket: Socket, now: number): boolean => {
    const one = all.get(socket)
    if (one === undefined || one.phase === 'nothing') return false
    const isNew = one.bytes === 0
    if (one.phase === 'request' && socket.bytesRead === one.bytes) {
      return now - one.idleSince >= (isNew ? limits.headersTimeout : limits.keepAliveTimeout)
    }
    // A new connection is given no more time for its first byte.
    one.since ??= isNew ? one.idleSince : now
    return now - one.since >= (one.phase === 'request' ? limits.headersTimeout : limits.requestTimeout)
  }

  const closeSome = () => {
    const now = performance.now()
    for (const socket of expired.splice(0, CLOSED_AT_ONCE)) {
      if (isExpired(socket, now)) onTimeout(socket, all.get(socket)?.since !== undefined)
    }
    if (expired.length > 0) setImmediate(closeSome)
  }

  const check = () => {
    if (expired.length > 0) return
    const now = performance.now()
    expired = [...all.keys()].filter((socket) => isExpired(socket, now))
    closeSome()
  }
  const checking = setInterval(check, limits.checkingInterval).unref()

  return {
    head(request, hasBody) {
      const { socket } = request
      const one = all.get(socket)
      if (one === undefined) return
      one.arriving = hasBody ? request : undefined
      one.since = one.inFlight === 0 && one.since !== undefined ? one.since : performance.now()
      one.inFlight += 1
      one.phase = hasBody ? 'body' : 'nothing'
      if (hasBody) spare(socket, one.proven ? proven : unproven)
      else spare(socket)
    },
    waits({ socket }, response) {
      const one = all.get(socket)
      if (one === undefined || one.waiting >= MOST_WAITING) {
        socket.destroy()
        return false
      }
      one.waiting += 1
      response.once('close', () => {
        one.waiting -= 1
      })
      return true
    },
    whole(socket) {
      const one = all.get(socket)
      if (one === undefined || one.phase === 'end') return
      one.phase = 'nothing'
      one.arriving = undefined
      spare(socket)
    },
    answered(socket, ok) {
      const one = all.get(socket)
      if (one === undefined || one.phase === 'end') return
      one.inFlight -= 1
      one.proven ||= ok
      // Of several requests that came one after the other without waiting, the last one counts.
      if (one.inFlight > 0 || one.phase === 'body') return
      if (one.end !== undefined) return one.end()
      one.phase = 'request'
      one.since = undefined
      one.idleSince = performance.now()
      one.bytes = socket.bytesRead
      spare(socket, ok ? proven : unproven)
    },
    refused(socket) {
      const one = all.get(socket)
      if (one === undefined) return
      one.phase = 'end'
      one.since ??= performance.now()
      spare(socket, refused)
    },
    broken(socket, end) {
      const one = all.get(socket)
      if (one?.arriving?.complete === false) one.inFlight -= 1
      if (one === undefined || one.inFlight <= 0) return end()
      one.phase = 'nothing'
      one.end = end
    },
    isRefused: (socket) => all.get(socket)?.phase === 'end',
    close() {
      clearInterval(checking)
      expired = []
    },
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as NetServer, Socket } from 'node:net'
import { PtpWatchError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { type BodyLimits, createBodies, hasBody, SMALL_BODY, SPLINTERED } from './bodies.ts'
import { type ConnectionLimits, createConnections } from './connections.ts'
import { type Admit, errorReply, type HttpFunction, type Reply, replyOf, tooLarge } from './reply.ts'
import { createServer } from './light-http.ts'
import { answer, invalidRequest, targetOf, writeReply } from './node-http.ts'
import { inPieces } from './pieces.ts'
import { createSlices } from './slices.ts'

/** What a server lets its clients do. Times in milliseconds, sizes in bytes. */
export type Limits = BodyLimits &
  ConnectionLimits & {
    /** A larger head is answered 431. */
    readonly headBytes: number
    /** How long a drain waits for requests in flight. */
    readonly drainTimeout: number
    /** How long a drain leaves idle connections open: what is on its way over them is still answered. */
    readonly lingerTime: number
  }

export const DEFAULT_LIMITS: Limits = {
  headBytes: 8 * 1024,
  bodyBytes: 64 * 1024,
  bodiesBytes: 8 * 1024 * 1024,
  connections: 5_000,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 100_000,
  checkingInterval: 1_000,
  drainTimeout: 25_000,
  lingerTime: 200,
}

/** How much more is read from a client that was refused, for it to see the reply. Bytes. */
const MOST_UNWANTED = 8 * 1024 * 1024
/** What each piece of that counts beside its length. Bytes. */
const UNWANTED_PIECE = 512

/** How many connections wait in the kernel to be accepted; what finds no place there is tried again after a second. */
const BACKLOG = 4_096

export type Serving = {
  readonly url: string
  readonly port: number
  /**
   * Stops accepting, tells functions by `request.signal`, answers what is in flight or arrives over connections
   * that are still open (with `Connection: close`), and resolves when all connections are closed. False: the time
   * was not enough and requests were cut. Repeated calls share one drain.
   */
  drain(): Promise<boolean>
}

/** The address could not be listened on. */
export class ListenError extends PtpWatchError {}

/**
 * Hosts a function on node:http, and bounds what clients can make it hold (connections.ts, bodies.ts): whoever can
 * connect can flood it, and those who have something to say must get through.
 *
 * Logs `listening` with the `url` once it does. Port 0 takes any free port.
 * @throws ListenError if the address is taken or not ours.
 */
export async function serve(options: {
  handle: HttpFunction
  /** What can be refused before there is a body. */
  admit?: Admit | undefined
  port: number
  host: string
  log: Log
  limits?: Partial<Limits>
  /** Told the status of every reply, those to what never reaches the function included. */
  onReply?: (status: number) => void
}): Promise<Serving> {
  const { handle, admit, log, onReply = () => {} } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const stopping = new AbortController()
  const slices = createSlices()

  const server = createServer({
    keepAliveTimeout: limits.keepAliveTimeout,
    // All times are those of connections.ts.
    keepAliveTimeoutBuffer: limits.keepAliveTimeout,
    headersTimeout: 0,
    requestTimeout: 0,
    // Refused by `invalidRequest`, with a body.
    requireHostHeader: false,
    maxHeaderSize: limits.headBytes,
  })
  // Who has nothing more to say than one request may close its side at once: the reply goes out all the same.
  Object.assign(server, { httpAllowHalfOpen: true })

  const connections = createConnections(server, limits, (socket, inRequest) => {
    if (inRequest && !connections.isRefused(socket)) refuseRaw(socket, 'ERR_HTTP_REQUEST_TIMEOUT')
    else socket.destroy()
  })
  /** Refused, and too costly to read to the end of the request. */
  const ignored = new WeakSet<Socket>()
  server.on('connection', (socket) => inPieces(socket, () => ignored.has(socket)))
  const takeBody = createBodies(limits)

  const send = ({ socket }: IncomingMessage, response: ServerResponse, reply: Reply) => {
    if (stopping.signal.aborted) response.setHeader('connection', 'close')
    writeReply(response, reply)
    const answered = () => connections.answered(socket, reply.status < 400 || reply.status >= 500)
    if (reply.stream === undefined) answered()
    else response.once('close', answered)
    onReply(reply.status)
  }

  /** Replies at once, and closes when the client has sent the rest: a close before that would destroy the reply. */
  const refuse = (request: IncomingMessage, response: ServerResponse, reply: Reply) => {
    const { socket } = request
    connections.refused(socket)
    if (reply === SPLINTERED) ignored.add(socket)
    onReply(reply.status)
    response.setHeader('connection', 'close')
    const { status, headers, body = '' } = reply
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    if (request.method === 'HEAD') response.flushHeaders()
    else response.write(body)
    let unwanted = 0
    request.on('data', (chunk: Uint8Array) => {
      unwanted += chunk.length + UNWANTED_PIECE
      if (unwanted <= MOST_UNWANTED) return
      request.removeAllListeners('data')
      socket.destroy()
    })
    request.on('end', () => response.end())
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse, isWaiting = false) => {
    const { socket } = request
    // After a refusal nothing on this connection is answered.
    if (connections.isRefused(socket)) {
      request.resume()
      return
    }
    // A socket has one reply at a time.
    if (response.socket === null && (socket.destroyed || !connections.waits(request, response))) return
    const { path, query } = targetOf(request.url)
    // An accessor would keep each request until a full collection, since V8 makes a shape of its own, in the old
    // generation, for every object literal that has one.
    const head = {
      method: request.method ?? '',
      path,
      query,
      headers: request.headers,
      signal: stopping.signal,
    }
    const isWhole = !hasBody(request)
    connections.head(request, !isWhole)
    const run = (body: Uint8Array, done: () => void) =>
      answer(
        handle,
        { ...head, body },
        (reply) => {
          done()
          send(request, response, reply)
        },
        (error) => {
          done()
          send(request, response, replyOf(error, log))
        },
      )
    const invalid = invalidRequest(request)
    if (invalid !== undefined) return refuse(request, response, invalid)
    if (isWhole) {
      if (isWaiting) response.writeContinue()
      return run(EMPTY, () => {})
    }
    const refusal =
      admit?.(head) ??
      (Number(request.headers['content-length']) > limits.bodyBytes ? tooLarge(limits.bodyBytes) : undefined)
    if (refusal !== undefined) return refuse(request, response, refusal)
    if (isWaiting) response.writeContinue()
    takeBody(request, {
      onWhole(body, release) {
        connections.whole(socket)
        slices.add(() => run(body, release), body.length <= SMALL_BODY)
      },
      onRefused: (reply) => refuse(request, response, reply),
    })
  }
  server.on('request', (request, response) => onRequest(request, response))
  server.on('checkContinue', (request, response) => onRequest(request, response, true))
  server.on('checkExpectation', (request, response) => {
    connections.head(request, false)
    send(request, response, errorReply(417, 'expectation', 'Only 100-continue can be expected'))
  })

  const refuseRaw = (socket: Socket, code: string | undefined) => {
    if (!socket.writable) {
      socket.destroy()
      return
    }
    const { status, text } = rawReply(code)
    socket.end(text, () => socket.destroy())
    onReply(status)
  }
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!(socket instanceof Socket) || connections.isRefused(socket) || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    connections.broken(socket, () => refuseRaw(socket, error.code))
  })

  const port = await listen(server, options.port, options.host)
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`
  log.info('listening', { url })

  let draining: Promise<boolean> | undefined
  const drain = async () => {
    stopping.abort()
    let cut = false
    const closed = new Promise<void>((resolve) => {
      // http.Server's own close would close idle connections at once, with requests under way on them.
      NetServer.prototype.close.call(server, () => resolve())
    })
    const sweep = setInterval(() => server.closeIdleConnections(), limits.lingerTime)
    const deadline = setTimeout(() => {
      cut = true
      server.closeAllConnections()
    }, limits.drainTimeout)
    try {
      await closed
    } finally {
      clearInterval(sweep)
      clearTimeout(deadline)
      connections.close()
    }
    if (cut) log.warn('requests in flight were cut', { drainTimeout: limits.drainTimeout })
    return !cut
  }

  return {
    url,
    port,
    drain: () => {
      draining ??= drain()
      return draining
    },
  }
}

const EMPTY = new Uint8Array(0)

/** Written by hand: a request that does not parse has no response object. */
function rawReply(code: string | undefined): { status: number; text: string } {
  const [status, phrase, message] = PARSE_ERRORS[code ?? ''] ?? [
    400,
    'Bad Request',
    'This is no HTTP request',
  ]
  const { body = '' } = errorReply(status, phrase.toLowerCase().replaceAll(' ', '-'), message)
  const head = `HTTP/1.1 ${status} ${phrase}\r\nconnection: close\r\ncontent-type: application/json`
  return { status, text: `${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}` }
}

const PARSE_ERRORS: Readonly<Record<string, readonly [number, string, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The head of the request is too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large', 'The chunk extensions are too large'],
}

function listen(server: NetServer, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'it is in use by another process' : error.message
      reject(new ListenError('listen', `Cannot listen on ${host} port ${port}: ${why}`, { cause: error }))
    }
    server.once('error', onError)
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', onError)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

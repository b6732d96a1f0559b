import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server as NetServer, Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import pLimit from 'p-limit'
import { PtpWatchError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { type BodyLimits, createBodies, hasBody, SMALL_BODY, SPLINTERED } from './bodies.ts'
import { createConnections, readInPieces } from './connections.ts'
import { answer, invalidRequest, targetOf, writeReply } from './listener.ts'
import { type Admit, errorReply, type HttpFunction, type Reply, tooLarge } from './reply.ts'

/** The limits of a server. Times in milliseconds, sizes in bytes. */
export type Limits = BodyLimits & {
  /** A larger head is answered with 431. */
  readonly headBytes: number
  /** How many connections may be open at once; for one more, the least valuable one is closed. */
  readonly connections: number
  /** From the connection, or the first byte of a later request, to the end of the head. */
  readonly headersTimeout: number
  /** From the first byte of a request to the last of its body. */
  readonly requestTimeout: number
  /** Publishers keep idle connections for 90 s; a POST that crosses our close is lost (protocol.md §4.2). */
  readonly keepAliveTimeout: number
  /** How often timeouts are checked. */
  readonly checkingInterval: number
  /** How long a drain waits for requests in flight. */
  readonly drainTimeout: number
  /** How long a drain leaves idle connections open: what is already on its way is still answered. */
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

/** How much more is read from a refused client so that it gets to see the reply. Bytes. */
const MOST_UNWANTED = 8 * 1024 * 1024

/** How many connections may wait in the kernel to be accepted; beyond that, a client retries after a second. */
const BACKLOG = 4_096

export type Serving = {
  readonly url: string
  readonly port: number
  /**
   * Accepts the connections already waiting but no new ones, aborts `request.signal`, answers every request in flight
   * or still arriving over open connections (with `Connection: close`), and resolves when all connections are closed.
   * False: time ran out and requests were cut off. Repeated calls share one drain.
   */
  drain(): Promise<boolean>
}

/** The address cannot be listened on. */
export class ListenError extends PtpWatchError {}

/**
 * Serves a function on node:http with limits on what clients can make it hold (connections.ts, bodies.ts): anyone who
 * can connect can flood it, and publishers must still get through. Port 0 takes any free port.
 * @throws ListenError if the address is in use or not ours.
 */
export async function serve(options: {
  handle: HttpFunction
  /** Refuses requests before their body is read. */
  admit?: Admit | undefined
  port: number
  host: string
  log: Log
  limits?: Partial<Limits>
  /** Called with the status of every reply, including those that never reach the function. */
  onReply?: (status: number) => void
}): Promise<Serving> {
  const { handle, admit, log, onReply = () => {} } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const stopping = new AbortController()
  const connections = createConnections(limits)
  const takeBody = createBodies(limits)
  const oneByOne = pLimit(1)

  const server = createServer({
    keepAliveTimeout: limits.keepAliveTimeout,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    connectionsCheckingInterval: limits.checkingInterval,
    // `invalidRequest` refuses these, with a body.
    requireHostHeader: false,
    maxHeaderSize: limits.headBytes,
  })
  // A client may close its side after its last request and still gets the reply.
  Object.assign(server, { httpAllowHalfOpen: true })
  server.on('connection', connections.opened)
  server.on('connection', readInPieces)

  /** Replies at once, and closes after the client has sent the rest: closing earlier would discard the reply. */
  const refuse = (request: IncomingMessage, response: ServerResponse, reply: Reply) => {
    const { socket } = request
    connections.refused(socket)
    onReply(reply.status)
    response.setHeader('connection', 'close')
    const { status, headers, body = '' } = reply
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    if (request.method === 'HEAD') response.flushHeaders()
    else response.write(body)
    // Too expensive to parse to the end.
    if (reply === SPLINTERED) socket.removeAllListeners('data').resume()
    let unwanted = 0
    request.on('data', (chunk: Uint8Array) => {
      unwanted += chunk.length
      if (unwanted > MOST_UNWANTED) socket.destroy()
    })
    request.on('end', () => response.end())
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse, expects?: string) => {
    const { socket } = request
    // After a refusal nothing more on this connection is answered.
    if (connections.isRefused(socket)) return request.resume()
    if (!connections.begins(request, response)) return

    const send = (reply: Reply) => {
      if (stopping.signal.aborted) response.setHeader('connection', 'close')
      writeReply(response, reply)
      const answered = () => connections.answered(socket, reply.status)
      if (reply.stream === undefined) answered()
      else response.once('close', answered)
      onReply(reply.status)
    }
    const { method = '', headers } = request
    const head = { method, ...targetOf(request.url), headers, signal: stopping.signal }
    const run = (body: Uint8Array) => answer(handle, { ...head, body }, log, send)

    if (expects === 'other') {
      connections.whole(socket)
      return send(errorReply(417, 'expectation', 'Only 100-continue can be expected'))
    }
    const isWhole = !hasBody(request)
    const isTooLarge = Number(headers['content-length']) > limits.bodyBytes
    const refusal =
      invalidRequest(request) ??
      (isWhole ? undefined : (admit?.(head) ?? (isTooLarge ? tooLarge(limits.bodyBytes) : undefined)))
    if (refusal !== undefined) return refuse(request, response, refusal)
    if (expects === 'continue') response.writeContinue()
    if (isWhole) {
      connections.whole(socket)
      void run(EMPTY)
      return
    }
    takeBody(request, {
      onWhole(body, release) {
        connections.whole(socket)
        const work = () => void run(body).then(release)
        if (body.length <= SMALL_BODY) return work()
        // One per turn, so that hundreds of large bodies at once do not hold up everyone else.
        void oneByOne(() => nextTurn().then(work))
      },
      onRefused: (reply) => refuse(request, response, reply),
    })
  }
  server.on('request', (request, response) => onRequest(request, response))
  server.on('checkContinue', (request, response) => onRequest(request, response, 'continue'))
  server.on('checkExpectation', (request, response) => onRequest(request, response, 'other'))

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const isReset = error.code === 'ECONNRESET'
    const isTimeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    if (!(socket instanceof Socket) || isReset || connections.isRefused(socket)) return socket.destroy()
    if (isTimeout && socket.bytesRead === 0) return socket.destroy()
    connections.broken(socket, () => {
      if (!socket.writable) return socket.destroy()
      const { status, text } = rawReply(error.code)
      socket.end(text, () => socket.destroy())
      onReply(status)
    })
  })

  const port = await listen(server, options.port, options.host)
  const url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`
  log.info('listening', { url })

  let draining: Promise<boolean> | undefined
  const drain = async () => {
    stopping.abort()
    let cut = false
    // After the turn's reads: where the process stood still, a request may have come over an idle connection.
    const sweep = setInterval(() => setImmediate(() => server.closeIdleConnections()), limits.lingerTime)
    const deadline = setTimeout(() => {
      cut = true
      server.closeAllConnections()
    }, limits.drainTimeout)
    await acceptWaiting(server)
    // http.Server's own close would also close idle connections at once, with requests on their way over them.
    await new Promise<void>((resolve) => void NetServer.prototype.close.call(server, () => resolve()))
    clearInterval(sweep)
    clearTimeout(deadline)
    // Stops Node.js's timeout checks.
    server.close()
    if (cut) log.warn('requests in flight were cut off', { drainTimeout: limits.drainTimeout })
    return !cut
  }
  return { url, port, drain: () => (draining ??= drain()) }
}

const EMPTY = new Uint8Array(0)

/**
 * Accepts connections that already wait in the kernel, one per turn: closing the listener would reset them. Bounded by
 * how many can wait, not by time, which passes also while the process stands still.
 */
async function acceptWaiting(server: NetServer): Promise<void> {
  let quietTurns = 0
  const accepted = () => {
    quietTurns = 0
  }
  server.on('connection', accepted)
  // Signals are handled late in a turn, so the first turn may end without a chance to accept.
  for (let turns = 0; quietTurns < 2 && turns < BACKLOG; turns += 1, quietTurns += 1) await nextTurn()
  server.off('connection', accepted)
}

const PARSE_ERRORS: Readonly<Record<string, readonly [status: number, phrase: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The head of the request is too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large', 'The chunk extensions are too large'],
}

/** Written by hand: a request that cannot be parsed has no response object. */
function rawReply(code = ''): { status: number; text: string } {
  const known = PARSE_ERRORS[code] ?? ([400, 'Bad Request', 'Not a valid HTTP request'] as const)
  const [status, phrase, message] = known
  const { body = '' } = errorReply(status, phrase.toLowerCase().replaceAll(' ', '-'), message)
  const head = `HTTP/1.1 ${status} ${phrase}\r\nconnection: close\r\ncontent-type: application/json`
  return { status, text: `${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}` }
}

function listen(server: NetServer, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      const what = `Cannot listen on ${host} port ${port}`
      const isTaken = error.code === 'EADDRINUSE'
      reject(
        isTaken
          ? new ListenError('listen', `${what}: it is in use by another process`)
          : new ListenError('listen', what, { cause: error }),
      )
    }
    server.once('error', onError)
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', onError)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

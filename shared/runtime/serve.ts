import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { PtpWatchError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { errorReply, type HttpFunction, type Reply, replyOf, tooLarge } from './http.ts'
import { createIncoming } from './incoming.ts'
import { createServer } from './light-http.ts'
import { answer, invalidRequest, targetOf, writeReply } from './node-http.ts'

/** What a server lets its clients do. Times in milliseconds. */
export type Limits = {
  /** A larger body is answered 413. */
  readonly bodyBytes: number
  /** From the connection, or the first byte of a request, to the end of its head. */
  readonly headersTimeout: number
  /** From the first byte of a request to the last of its body. */
  readonly requestTimeout: number
  /** Publishers keep idle connections for 90 s; a POST that meets our close is lost (protocol.md §4.2). */
  readonly keepAliveTimeout: number
  /** How often timeouts are looked for. */
  readonly checkingInterval: number
  /** How long a drain waits for requests in flight. */
  readonly drainTimeout: number
  /** How long a drain leaves idle connections open: what is on its way over them is still answered. */
  readonly lingerTime: number
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 256 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 100_000,
  checkingInterval: 1_000,
  drainTimeout: 25_000,
  lingerTime: 200,
}

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
 * Hosts a function on node:http. Every request costs as little as it can: limits are the server's own options, and a
 * body in one piece is not copied.
 *
 * Logs `listening` with the `url` once it does. Port 0 takes any free port.
 * @throws ListenError if the address is taken or not ours.
 */
export async function serve(options: {
  handle: HttpFunction
  port: number
  host: string
  log: Log
  limits?: Partial<Limits>
  /** Told the status of every reply, those to what never reaches the function included. */
  onReply?: (status: number) => void
}): Promise<Serving> {
  const { handle, log, onReply = () => {} } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const stopping = new AbortController()
  /** Connections whose reply went out before their request was read to its end. */
  const refused = new WeakSet<Duplex>()

  const send = (response: ServerResponse, reply: Reply) => {
    if (stopping.signal.aborted) response.setHeader('connection', 'close')
    writeReply(response, reply)
    onReply(reply.status)
  }

  const onWhole = (request: IncomingMessage, response: ServerResponse, body: Uint8Array) => {
    const { path, query } = targetOf(request.url)
    answer(
      handle,
      // Headers are parsed by now: node:http looks for Host. An accessor would keep each request until a full
      // collection, since V8 makes a shape of its own, in the old generation, for every object literal that has one.
      { method: request.method ?? '', path, query, headers: request.headers, body, signal: stopping.signal },
      (reply) => send(response, reply),
      (error) => send(response, replyOf(error, log)),
    )
  }

  /** Replies at once, and closes when the client has sent the rest: a close before that would destroy the reply. */
  const refuse = (request: IncomingMessage, response: ServerResponse) => {
    refused.add(request.socket)
    const { status, headers, body = '' } = invalidRequest(request) ?? tooLarge(limits.bodyBytes)
    onReply(status)
    response.setHeader('connection', 'close')
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    if (request.method === 'HEAD') response.flushHeaders()
    else response.write(body)
  }

  const server = createServer({
    IncomingMessage: createIncoming({ limit: limits.bodyBytes, onWhole, onTooLarge: refuse }),
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: limits.checkingInterval,
    // Refused by `invalidRequest`, with a body.
    requireHostHeader: false,
  })
  // Who has nothing more to say than one request may close its side at once: the reply goes out all the same.
  Object.assign(server, { httpAllowHalfOpen: true })
  server.on('request', (request, response) => {
    if (invalidRequest(request) !== undefined) request.refuse(response)
    else request.collect(response)
  })
  server.on('checkContinue', (request, response) => {
    if (Number(request.headers['content-length']) > limits.bodyBytes || invalidRequest(request) !== undefined)
      return request.refuse(response)
    response.writeContinue()
    request.collect(response)
  })
  server.on('checkExpectation', (_request, response) => {
    send(response, errorReply(417, 'expectation', 'Only 100-continue can be expected'))
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (refused.has(socket) || error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const { status, text } = rawReply(error.code)
    socket.end(text, () => socket.destroy())
    onReply(status)
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
    server.listen(port, host, () => {
      server.off('error', onError)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

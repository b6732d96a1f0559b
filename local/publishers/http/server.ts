import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

export interface SimRequest {
  readonly method: string
  /** The target as sent, which no URL class has folded. */
  readonly target: string
  /** Path of the target, percent-decoded, without query. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly message: IncomingMessage
}

/** `hang` keeps the connection open without an answer. */
export type SimReply = 'hang' | { status: number; headers?: Record<string, string>; body?: string }

export type Handler = (request: SimRequest) => Promise<SimReply> | SimReply

export interface Host {
  readonly origin: string
  readonly port: number
  readonly listening: boolean
  /** Listens, on the port of the first time if there was one. */
  listen(): Promise<void>
  close(): Promise<void>
}

/**
 * A server that frames replies as Go's net/http does: a length up to 2 KiB, chunks above, none on 204. `Date` is by
 * `now`, in nanoseconds.
 */
export function createHost(
  options: { host?: string; port?: number; now?: () => bigint },
  handler: Handler,
): Host {
  const host = options.host ?? '127.0.0.1'
  let port = options.port ?? 0
  let server: Server | undefined

  return {
    get origin() {
      if (port === 0) throw new Error('the simulated publisher does not listen yet')
      return `http://${host}:${port}`
    },
    get port() {
      return port
    },
    get listening() {
      return server !== undefined
    },
    async listen() {
      if (server) return
      const starting = createServer((request, response) => {
        if (options.now) response.setHeader('Date', httpDate(options.now()))
        void answer(request, response, handler)
      })
      server = starting
      port = await listenOn(starting, host, port)
    },
    async close() {
      const closing = server
      server = undefined
      if (!closing) return
      closing.closeAllConnections()
      await new Promise((resolve) => closing.close(resolve))
    },
  }
}

/**
 * Ports below those that systems give to connections of their own: a publisher that restarts finds its port free again.
 */
const FIRST = 20_000
const PORTS = 10_000

/** Listens on a port, or on any free one for 0; gives the port. */
async function listenOn(server: Server, host: string, port: number): Promise<number> {
  for (;;) {
    const wanted = port || FIRST + Math.floor(Math.random() * PORTS)
    try {
      await once(server.listen(wanted, host), 'listening')
      return wanted
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (port !== 0 || !isTaken) throw error
    }
  }
}

async function answer(message: IncomingMessage, response: ServerResponse, handler: Handler) {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk)
    const target = message.url ?? '/'
    const reply = await handler({
      method: message.method ?? 'GET',
      target,
      path: decode(target.split('?')[0] ?? '/'),
      headers: message.headers,
      body: Buffer.concat(chunks).toString(),
      message,
    })
    if (reply !== 'hang') write(response, message, reply)
  } catch (error) {
    // A caller that went away is no news; anything else is a defect of the simulator.
    if (message.destroyed && !message.complete) return
    response.writeHead(500, { 'X-Simulator-Error': 'true' }).end(`${error}\n`)
  }
}

function write(response: ServerResponse, message: IncomingMessage, reply: Exclude<SimReply, 'hang'>) {
  const body = reply.body ?? ''
  const isFramed = reply.status === 204 || message.method === 'HEAD' || Buffer.byteLength(body) > 2048
  response.writeHead(reply.status, {
    ...reply.headers,
    ...(isFramed ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
  })
  response.end(message.method === 'HEAD' ? '' : body)
}

const httpDate = (ns: bigint) => new Date(Number(ns / 1_000_000n)).toUTCString()

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import type { Log } from '#shared/log.ts'
import type { Opened } from './function.ts'
import { type Phase, type Served, withHealth } from './health.ts'
import { collectProcessMetrics } from './process-metrics.ts'
import { errorReply, type HttpFunction, type HttpRequest, type Reply, replyOf } from './reply.ts'

/** An open function as every host serves it: with health and metrics, including those of the process. */
export function served({ open, host }: Opened, phase: () => Phase): Served {
  const { handle, admit, ping, scrape } = open
  if (handle === undefined) throw new TypeError('This function cannot be served')
  collectProcessMetrics(host.metrics)
  return withHealth({ handle, admit }, { ...host, phase, ping, scrape })
}

/** Answers a request with a function; errors become replies by {@link replyOf}. */
export async function answer(
  handle: HttpFunction,
  request: HttpRequest,
  log: Log,
  send: (reply: Reply) => void,
): Promise<void> {
  try {
    send(await handle(request))
  } catch (error) {
    send(replyOf(error, log))
  }
}

/** Writes a reply. node:http itself leaves out the body for HEAD. */
export function writeReply(response: ServerResponse, { status, headers, body, stream }: Reply): void {
  if (stream !== undefined) {
    response.writeHead(status, headers)
    if (response.req.method === 'HEAD') response.end()
    // If the client or the store goes away, the connection breaks before the body ends, which tells the client.
    else pipeline(Readable.from(stream), response, () => {})
    return
  }
  const content = status === 204 || status === 202 ? '' : (body ?? '')
  if (status !== 204) response.setHeader('content-length', Buffer.byteLength(content))
  response.writeHead(status, headers).end(content)
}

/**
 * Refuses what node:http lets through: HTTP/0.9, HTTP/2.0, and a missing or repeated Host header, which could make a
 * proxy and us disagree about who is addressed (RFC 9112 §3.2).
 */
export function invalidRequest({ httpVersion, rawHeaders }: IncomingMessage): Reply | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return BAD_VERSION
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length
  return hosts > 1 || (hosts === 0 && httpVersion === '1.1') ? BAD_HOST : undefined
}

const BAD_VERSION = errorReply(400, 'bad-request', 'Only HTTP/1.0 and HTTP/1.1 are served')
const BAD_HOST = errorReply(400, 'bad-request', 'A request must have exactly one Host header')

/** The path and query of a request's target, as sent. */
export function targetOf(url = '/'): { path: string; query: string } {
  const target = originForm(url)
  const mark = target.indexOf('?')
  if (mark < 0) return { path: target, query: '' }
  return { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** A client of a proxy sends `GET http://host/path`: to us that is the same path (RFC 9112 §3.2.2). */
function originForm(url: string): string {
  if (url.startsWith('/') || !URL.canParse(url)) return url
  const { pathname, search } = new URL(url)
  return pathname + search
}

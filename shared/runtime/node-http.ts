import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import { errorReply, type HttpFunction, type HttpRequest, type Reply } from './reply.ts'

/**
 * Has a function answer: `send` is given its reply, `fail` what the function or `send` throws. A reply that is there at
 * once takes no promise, and one that is not takes one.
 */
export function answer(
  handle: HttpFunction,
  request: HttpRequest,
  send: (reply: Reply) => void,
  fail: (error: unknown) => void,
): void {
  try {
    const reply = handle(request)
    if (!(reply instanceof Promise)) {
      send(reply)
      return
    }
    reply.then((settled) => {
      try {
        send(settled)
      } catch (error) {
        fail(error)
      }
    }, fail)
  } catch (error) {
    fail(error)
  }
}

/** Writes a reply, in one piece but for a stream. node:http leaves the body out by itself where the request was HEAD. */
export function writeReply(response: ServerResponse, { status, headers, body, stream }: Reply): void {
  if (stream !== undefined) {
    response.writeHead(status, headers)
    if (response.req.method === 'HEAD') response.end()
    // A client that went away, or a store: the connection ends before the body does, which tells the client.
    else pipeline(Readable.from(stream), response, () => {})
    return
  }
  if (body === undefined || status === 204 || status === 202) {
    if (status !== 204) response.setHeader('content-length', 0)
    response.writeHead(status, headers).end()
    return
  }
  response.setHeader('content-length', Buffer.byteLength(body))
  response.writeHead(status, headers).end(body)
}

/**
 * Why a request is refused that node:http lets through: HTTP/0.9 (a line without a version) and HTTP/2.0, and a Host that
 * is missing or given twice, by which proxies and we could differ over who is asked (RFC 9112 §3.2).
 */
export function invalidRequest({ httpVersion, rawHeaders }: IncomingMessage): Reply | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return BAD_VERSION
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1 || (hosts === 0 && httpVersion === '1.1') ? BAD_HOST : undefined
}

const BAD_VERSION = errorReply(400, 'bad-request', 'Only HTTP/1.0 and HTTP/1.1 are served')
const BAD_HOST = errorReply(400, 'bad-request', 'A request must have exactly one Host header')

/** The path and the query of a request's target, as they were sent. */
export function targetOf(url = '/'): { path: string; query: string } {
  const target = originForm(url)
  const mark = target.indexOf('?')
  if (mark < 0) return { path: target, query: '' }
  return { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** What a proxy's client sends (`GET http://host/path`) is the same path to us (RFC 9112 §3.2.2). */
function originForm(url: string): string {
  if (url.startsWith('/') || !URL.canParse(url)) return url
  const { pathname, search } = new URL(url)
  return pathname + search
}

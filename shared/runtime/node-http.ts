import type { ServerResponse } from 'node:http'
import type { HttpFunction, HttpRequest, Reply } from './http.ts'

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

/** Writes a reply in one piece. node:http leaves the body out by itself where the request was HEAD. */
export function writeReply(response: ServerResponse, { status, headers, body }: Reply): void {
  if (body === undefined || status === 204 || status === 202) {
    if (status !== 204) response.setHeader('content-length', 0)
    response.writeHead(status, headers).end()
    return
  }
  response.setHeader('content-length', Buffer.byteLength(body))
  response.writeHead(status, headers).end(body)
}

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

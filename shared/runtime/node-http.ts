import type { ServerResponse } from 'node:http'
import type { Reply } from './http.ts'

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

/** What a proxy's client sends (`GET http://host/path`) is the same path to us (RFC 9112 §3.2.2). */
export function originForm(url: string): string {
  if (url.startsWith('/') || !URL.canParse(url)) return url
  const { pathname, search } = new URL(url)
  return pathname + search
}

/** Requests as bytes: what a client library would not send. */
export type Head = Readonly<Record<string, string>>

const TO = 'good.example.com'
export const PATH = `/event/${TO}`

/** The head of a request, its last on the connection unless it says otherwise. */
export function head(line: string, headers: Head = {}): string {
  const all = { Host: 'ingest', Connection: 'close', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** A POST with its body and the length of it. */
export function post(path: string, body: string | Buffer, headers: Head = {}): Buffer {
  const length = { 'Content-Length': String(Buffer.byteLength(body)) }
  return Buffer.concat([Buffer.from(head(`POST ${path}`, { ...length, ...headers })), Buffer.from(body)])
}

/** A POST whose body comes in chunks, with what stands after the last of them. */
export function chunked(chunks: readonly string[], end = '0\r\n\r\n', headers: Head = {}): string {
  const sizes = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`)
  return head(`POST ${PATH}`, { 'Transfer-Encoding': 'chunked', ...headers }) + sizes.join('') + end
}

/** Without `Connection: close`: another request follows. */
export const STAY: Head = { Connection: 'keep-alive' }

import { pipeline, Readable } from 'node:stream'
import { createGzip, gzipSync } from 'node:zlib'
import type { HttpHead, Reply } from '#shared/runtime/reply.ts'

/** Smaller replies would grow when compressed. Bytes. */
const LEAST = 1_024
/** Larger replies take milliseconds to compress, so that is done off the event loop. Bytes. */
const MOST_AT_ONCE = 65_536

/** Compresses a reply with gzip if the client accepts it and it is worth it. An event stream is left as it is. */
export function compressed(reply: Reply, { method, headers }: Pick<HttpHead, 'method' | 'headers'>): Reply {
  const type = reply.headers?.['content-type'] ?? ''
  if (reply.status !== 200 || type.startsWith('text/event-stream')) return reply
  const vary = { ...reply.headers, vary: 'accept-encoding' }
  if (!takesGzip(headers['accept-encoding'])) return { ...reply, headers: vary }
  const encoded = { ...vary, 'content-encoding': 'gzip' }
  if (reply.stream !== undefined) {
    // For HEAD the stream is never read.
    const stream = method === 'HEAD' ? reply.stream : gzipped(reply.stream)
    return { ...reply, headers: encoded, stream }
  }
  const { body, ...head } = reply
  if (body === undefined || body.length < LEAST) return { ...reply, headers: vary }
  if (body.length > MOST_AT_ONCE && method !== 'HEAD')
    return { ...head, headers: encoded, stream: gzipped([body]) }
  return { ...reply, headers: encoded, body: gzipSync(body) }
}

function gzipped(parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): Readable {
  const gzip = createGzip()
  pipeline(Readable.from(parts), gzip, () => {})
  return gzip
}

/** `gzip` or `*` with a quality above 0 (RFC 9110 §12.5.3). */
function takesGzip(header: string | readonly string[] | undefined): boolean {
  const codings = String(header ?? '')
    .toLowerCase()
    .split(',')
  const quality = (name: string) => {
    const found = codings.map((coding) => coding.trim().split(/\s*;\s*/)).find(([coding]) => coding === name)
    if (found === undefined) return undefined
    const q = found.find((part) => part.startsWith('q='))
    return q === undefined ? 1 : Number(q.slice(2))
  }
  return (quality('gzip') ?? quality('*') ?? 0) > 0
}

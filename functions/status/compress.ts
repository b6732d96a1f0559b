import { pipeline, Readable } from 'node:stream'
import { createGzip, gzipSync } from 'node:zlib'
import type { HttpHead, Reply } from '#shared/runtime/reply.ts'

/** Below this a reply grows by being compressed. Bytes. */
const LEAST = 1_024

/** The reply in gzip, where the client takes it and it is worth it. A stream of events stays as it is. */
export function compressed(reply: Reply, { headers }: HttpHead): Reply {
  const type = reply.headers?.['content-type'] ?? ''
  if (reply.status !== 200 || type.startsWith('text/event-stream')) return reply
  const vary = { ...reply.headers, vary: 'accept-encoding' }
  if (!takesGzip(headers['accept-encoding'])) return { ...reply, headers: vary }
  const encoded = { ...vary, 'content-encoding': 'gzip' }
  if (reply.stream !== undefined) {
    const gzip = createGzip()
    pipeline(Readable.from(reply.stream), gzip, () => {})
    return { ...reply, headers: encoded, stream: gzip }
  }
  if (reply.body === undefined || reply.body.length < LEAST) return { ...reply, headers: vary }
  return { ...reply, headers: encoded, body: gzipSync(reply.body) }
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

import { readdirSync, readFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { attributes } from '#shared/events/cloudevent.ts'

const message = z.object({ headers: z.record(z.string(), z.string()), body: z.nullable(z.string()) })

const exchange = z.object({
  n: z.number(),
  dir: z.string(),
  request: z.extend(message, { method: z.string(), target: z.string() }),
  response: z.nullable(z.extend(message, { status: z.number() })),
  note: z.optional(z.string()),
  during: z.optional(z.number()),
})

/** A body that a publisher or a sidecar sent, in the order of the recording. */
export type Recorded = {
  readonly file: string
  readonly n: number
  readonly how: 'push' | 'initial' | 'pull'
  readonly body: unknown
}

const FOLDER = new URL('../fixtures/transcripts/', import.meta.url)

/** The node of all recordings of Red Hat's publishers. */
export const NODE = 'node1.example.com'

/** The releases of Red Hat's publishers. */
export const releases: readonly string[] = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith('starlingx'))
  .map((entry) => entry.name)
  .sort()

/** Every event body of a release's recordings: what was posted to the consumer and what CurrentState answered. */
export function recordedBodies(release: string): Recorded[] {
  const folder = new URL(`${release}/`, FOLDER)
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .flatMap((name) => bodiesOf(new URL(name, folder), `${release}/${name}`))
}

function bodiesOf(url: URL, file: string): Recorded[] {
  const [, ...lines] = readFileSync(url, 'utf8').trimEnd().split('\n')
  return lines.flatMap((line): Recorded[] => {
    const { n, dir, request, response, during } = z.parse(exchange, JSON.parse(line))
    if (dir.endsWith('->consumer')) {
      if (request.body === null || request.body === '') return []
      const how = during === undefined ? 'push' : 'initial'
      return [{ file, n, how, body: bodyOf(request.headers, request.body) }]
    }
    if (!request.target.endsWith('/CurrentState') || response?.status !== 200 || response.body === null)
      return []
    if (!(response.headers['Content-Type'] ?? '').includes('json')) return []
    return [{ file, n, how: 'pull', body: bodyOf(response.headers, response.body) }]
  })
}

/** Without a sidecar the headers are the event and the body is its data (protocol.md §2.7). */
function bodyOf(headers: Record<string, string>, body: string): unknown {
  const lower = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const json: unknown = JSON.parse(body)
  return lower['ce-specversion'] === undefined ? json : { ...attributes(lower), data: json }
}

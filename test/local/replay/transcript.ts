import { readFileSync } from 'node:fs'
import * as z from 'zod/mini'

const exchange = z.object({
  n: z.number(),
  ms: z.number(),
  dir: z.enum(['consumer->publisher', 'publisher->consumer', 'consumer->sidecar', 'sidecar->consumer']),
  request: z.object({
    method: z.string(),
    target: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.nullable(z.string()),
  }),
  response: z.nullable(
    z.object({
      status: z.number(),
      headers: z.record(z.string(), z.string()),
      body: z.nullable(z.string()),
    }),
  ),
  note: z.optional(z.string()),
  during: z.optional(z.number()),
})

export type Exchange = z.infer<typeof exchange>

const root = new URL('../../fixtures/transcripts/', import.meta.url)

/** The exchanges of a recording, such as `main-v2/lifecycle`, without its first line. */
export function readTranscript(name: string): readonly Exchange[] {
  const lines = readFileSync(new URL(`${name}.jsonl`, root), 'utf8')
    .trimEnd()
    .split('\n')
  return lines.slice(1).map((line) => exchange.parse(JSON.parse(line)))
}

export const isCall = ({ dir }: Exchange) => dir.endsWith('->consumer')

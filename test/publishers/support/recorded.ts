import { readFileSync } from 'node:fs'
import * as z from 'zod/mini'

const exchange = z.object({
  n: z.number(),
  dir: z.string(),
  request: z.object({ method: z.string(), target: z.string(), body: z.nullable(z.string()) }),
  response: z.nullable(
    z.object({ status: z.number(), headers: z.record(z.string(), z.string()), body: z.string() }),
  ),
})

export type Exchange = z.infer<typeof exchange>

/** The exchanges of one recording that a consumer began, in their order. */
export function readRecording(name: string): Exchange[] {
  const file = new URL(`../../fixtures/transcripts/${name}.jsonl`, import.meta.url)
  const [, ...lines] = readFileSync(file, 'utf8').trim().split('\n')
  return lines
    .map((line) => exchange.parse(JSON.parse(line)))
    .filter(({ dir }) => dir.startsWith('consumer->'))
}

import { expect } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { exceptions } from './exceptions.ts'
import { type ReplayOptions, replay } from './replay.ts'
import { readTranscript } from './transcript.ts'

export const node = 'node1.example.com'

/** Replays a recording; passes when every exchange came out alike and none was left out unlisted. */
export async function prove(name: string, publisher: Publisher, options: ReplayOptions = {}) {
  await publisher.listen()
  const compared = await replay(name, publisher, options).finally(() => publisher.close())
  const differing = compared.filter((one) => JSON.stringify(one.recorded) !== JSON.stringify(one.actual))
  expect(differing.map(({ n, actual }) => ({ n, is: actual }))).toEqual(
    differing.map(({ n, recorded }) => ({ n, is: recorded })),
  )
  const covered = compared.reduce((sum, { covers }) => sum + covers, 0)
  const excepted = exceptions.filter((exception) => exception.name === name).length
  expect(covered + excepted).toBe(readTranscript(name).length)
}

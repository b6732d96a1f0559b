import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder of its own for one test. */
export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ptp-watch-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An empty folder, and how to remove it with all that it came to hold. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'ptp-watch-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

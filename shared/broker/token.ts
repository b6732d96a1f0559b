import { readFile } from 'node:fs/promises'
import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'

/** How long a token is believed to be the one in its file, in milliseconds. */
const BELIEVED = 10_000

/**
 * The OIDC token that Knative keeps fresh in a file (Knative Eventing, sender identity), for the Authorization header of a sink. No
 * file, no token: a sink that wants none has none mounted. One that cannot be read leaves the one read before.
 */
export function createTokenFile(
  path: string,
  { clock, log }: { clock: Clock; log: Log },
): (options: { fresh: boolean }) => Promise<string | undefined> {
  let known: string | undefined
  let readAt = Number.NEGATIVE_INFINITY
  return async ({ fresh }) => {
    if (!fresh && Math.abs(clock.now() - readAt) < BELIEVED) return known
    readAt = clock.now()
    try {
      known = (await readFile(path, 'utf8')).trim() || undefined
    } catch (error) {
      if (isAbsent(error)) known = undefined
      else log.warn('The token for the sink cannot be read', { path, reason: reasonOf(error) })
    }
    return known
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}

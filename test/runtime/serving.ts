import { onTestFinished } from 'vitest'
import { createLog } from '#shared/log.ts'
import type { Admit, HttpFunction } from '#shared/runtime/reply.ts'
import { type Limits, type Serving, serve } from '#shared/runtime/serve.ts'

/** A function on a real socket for the length of one test, and what its host logged. */
export async function serving(
  handle: HttpFunction,
  limits: Partial<Limits> = {},
  admit?: Admit,
): Promise<Serving & { readonly lines: readonly string[] }> {
  const lines: string[] = []
  const log = createLog({ level: 'debug', now: () => 0, write: (line) => lines.push(line) })
  const served = await serve({
    handle,
    admit,
    port: 0,
    host: '127.0.0.1',
    log,
    limits: { lingerTime: 10, ...limits },
  })
  onTestFinished(async () => void (await served.drain()))
  return { ...served, lines }
}

/** Something that a test lets go of when it likes. */
export function gate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: () => resolve() }
}

import { PtpWatchError } from '#shared/errors.ts'
import type { Reconciled } from '#shared/publishers/reconcile/reconciler.ts'
import type { HttpFunction } from '#shared/runtime/reply.ts'
import { createTickHandler } from '#shared/runtime/tick.ts'

/** `POST /` runs once: 202 when all publishers are in sync, 500 naming those that are not. A request during a run shares it. */
export function createSubscribeHandler(
  run: (signal: AbortSignal) => Promise<readonly Reconciled[]>,
): HttpFunction {
  let running: Promise<readonly Reconciled[]> | undefined
  return createTickHandler(async (signal) => {
    running ??= run(signal).finally(() => {
      running = undefined
    })
    const failed = (await running).filter(({ outcome }) => outcome === 'failed')
    if (failed.length === 0) return
    const named = failed.map(({ node, problems }) => `${node}: ${problems.join('; ')}`)
    throw new PtpWatchError('subscriptions', `${failed.length} publishers failed: ${named.join(' | ')}`)
  }, '/')
}

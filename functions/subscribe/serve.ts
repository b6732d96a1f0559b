import type { Reconciled } from '#shared/publishers/reconcile/reconciler.ts'
import {
  ACCEPTED,
  checkQuery,
  errorReply,
  type HttpFunction,
  methodNotAllowed,
  notFound,
} from '#shared/runtime/reply.ts'

/** `POST /` runs once: 202 when all publishers are in sync, 500 naming those that are not. A request during a run shares it. */
export function createSubscribeHandler(
  run: (signal: AbortSignal) => Promise<readonly Reconciled[]>,
): HttpFunction {
  let running: Promise<readonly Reconciled[]> | undefined
  return async ({ path, method, query, signal }) => {
    if (path !== '/') return notFound()
    if (method !== 'POST') return methodNotAllowed(['POST'])
    checkQuery(new URLSearchParams(query))
    running ??= run(signal).finally(() => {
      running = undefined
    })
    const failed = (await running).filter(({ outcome }) => outcome === 'failed')
    if (failed.length === 0) return ACCEPTED
    const named = failed.map(({ node, problems }) => `${node}: ${problems.join('; ')}`)
    return errorReply(500, 'subscriptions', `${failed.length} publishers failed: ${named.join(' | ')}`)
  }
}

import type { Kept } from '#shared/publishers/reconcile/reconciler.ts'
import {
  ACCEPTED,
  checkQuery,
  errorReply,
  type HttpFunction,
  methodNotAllowed,
  notFound,
} from '#shared/runtime/reply.ts'

/**
 * `POST /` runs once: 202 when all publishers are as they should be, 500 naming those that are not. A request during
 * a run shares it.
 */
export function createSubscribeHandler(run: (signal: AbortSignal) => Promise<Kept[]>): HttpFunction {
  let running: Promise<Kept[]> | undefined
  return async (request) => {
    if (request.path !== '/') return notFound()
    if (request.method !== 'POST') return methodNotAllowed(['POST'])
    checkQuery(new URLSearchParams(request.query))
    running ??= run(request.signal).finally(() => {
      running = undefined
    })
    const failed = (await running).filter(({ outcome }) => outcome === 'failed')
    if (failed.length === 0) return ACCEPTED
    const named = failed.map(({ node, problems }) => `${node}: ${problems.join('; ')}`)
    return errorReply(500, 'subscriptions', `${failed.length} publishers failed: ${named.join(' | ')}`)
  }
}

import { ACCEPTED, checkQuery, type HttpFunction, methodNotAllowed, notFound } from './reply.ts'

/**
 * `POST /tick`, from a PingSource: 202 after the run, which is to end at once where another one is under way. What is
 * thrown becomes a 5xx, so that the sender tries again. `at`: another path.
 */
export function createTickHandler(run: (signal: AbortSignal) => Promise<void>, at = '/tick'): HttpFunction {
  return async ({ path, query, method, signal }) => {
    if (path !== at) return notFound()
    if (method !== 'POST') return methodNotAllowed(['POST'])
    checkQuery(new URLSearchParams(query))
    await run(signal)
    return ACCEPTED
  }
}

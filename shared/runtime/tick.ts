import { ACCEPTED, checkQuery, type HttpFunction, methodNotAllowed, notFound } from './reply.ts'

/**
 * `POST /tick`, sent by a PingSource: answered with 202 after the run. `run` should return at once if another run is
 * under way. If it throws, the reply is a 5xx and the sender tries again. `at`: another path.
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

import { ACCEPTED, type HttpFunction, methodNotAllowed, notFound } from '#shared/runtime/http.ts'

/**
 * `POST /tick`, from a PingSource: 202 after the run. A tick during a run is answered 202 at once and starts no
 * second one. What is thrown becomes a 5xx, so that the sender tries again.
 */
export function createTickHandler(run: (signal: AbortSignal) => Promise<void>): HttpFunction {
  let running = false
  return async ({ path, method, signal }) => {
    if (path !== '/tick') return notFound()
    if (method !== 'POST') return methodNotAllowed(['POST'])
    if (running) return ACCEPTED
    running = true
    try {
      await run(signal)
      return ACCEPTED
    } finally {
      running = false
    }
  }
}

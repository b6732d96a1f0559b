import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CloudEventV1 } from 'cloudevents'
import type { Environment } from '#shared/config/index.ts'
import { reasonOf } from '#shared/errors.ts'
import { type Log, silentLog } from '#shared/log.ts'
import type { FunctionDefinition } from './function.ts'
import type { Phase } from './health.ts'
import { openFunction } from './host.ts'
import { answer, invalidRequest, served, targetOf, writeReply } from './listener.ts'
import { errorReply, type HttpFunction, type Reply, replyOf, tooLarge } from './reply.ts'
import { DEFAULT_LIMITS } from './serve.ts'

/** The part we use of what the Functions Framework passes to an `http` function. */
type FrameworkRequest = IncomingMessage & { rawBody?: Buffer; originalUrl?: string }

type Hosted = { readonly handle: HttpFunction; readonly log: Log }

/** Opens at the first call; if that fails, `err` gets the reason and the next call tries again. */
function opener<T>(open: () => Promise<T>, err: (text: string) => void): () => Promise<T> {
  let opening: Promise<T> | undefined
  return () => {
    if (opening !== undefined) return opening
    const attempt = open()
    attempt.catch((error: unknown) => {
      err(reasonOf(error))
      opening = undefined
    })
    opening = attempt
    return attempt
  }
}

/**
 * A function hosted by the Functions Framework. The framework imports every function to serve one, so ours is loaded
 * and opened by the first request; if that fails, the next request tries again. The framework ends the process on its
 * own: nothing is drained and `close` is not called (docs/hosting.md).
 *
 * `err` gets the reason if a function cannot be opened: there is no log yet.
 */
export function toFramework(
  load: () => Promise<FunctionDefinition>,
  env: Environment,
  {
    bodyBytes = DEFAULT_LIMITS.bodyBytes,
    err = console.error,
  }: { bodyBytes?: number; err?: (text: string) => void } = {},
): (request: FrameworkRequest, response: ServerResponse) => Promise<void> {
  const never = new AbortController().signal
  let phase: Phase = 'starting'
  const open = async (): Promise<Hosted> => {
    const opened = await openFunction(await load(), env)
    const { handle } = served(opened, () => phase)
    phase = 'ready'
    return { handle, log: opened.host.log }
  }
  const begin = opener(open, err)

  return async (request, response) => {
    const send = (reply: Reply) => writeReply(response, reply)
    const opening = begin()
    const { path, query } = targetOf(request.originalUrl ?? request.url)
    if (phase === 'starting' && path === '/health/readiness') {
      return send(errorReply(503, 'starting', 'The function is starting'))
    }
    let log = silentLog
    try {
      const hosted = await opening
      log = hosted.log
      const body = request.rawBody ?? (await unparsed(request, bodyBytes))
      if (body === undefined || body.length > bodyBytes) return send(tooLarge(bodyBytes))
      const refusal = invalidRequest(request)
      if (refusal !== undefined) return send(refusal)
      const { method = '', headers } = request
      await answer(hosted.handle, { method, path, query, headers, body, signal: never }, log, send)
    } catch (error) {
      send(replyOf(error, log))
    }
  }
}

/** The body that the framework left unread for lack of a Content-Type; undefined if it is larger than `limit`. */
async function unparsed(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    // Read to the end anyway: a client that is still sending would not see the reply.
    if (size <= limit) chunks.push(chunk)
  }
  return size <= limit ? Buffer.concat(chunks, size) : undefined
}

/**
 * A CloudEvent function hosted by the Functions Framework. If it throws, the answer is 500 and Knative sends the
 * event again. The framework answers every GET with 500: there are no health checks and no metrics (docs/hosting.md).
 */
export function toFrameworkEvents(
  load: () => Promise<FunctionDefinition>,
  env: Environment,
  { err = console.error }: { err?: (text: string) => void } = {},
): (event: CloudEventV1<unknown>) => Promise<void> {
  const begin = opener(async () => {
    const { open } = await openFunction(await load(), env)
    if (open.onEvent === undefined) throw new TypeError('This function does not accept CloudEvents')
    return open.onEvent
  }, err)
  return async (event) => (await begin())(event)
}

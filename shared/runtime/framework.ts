import { Domain } from 'node:domain'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Environment } from '#shared/config/index.ts'
import { reasonOf } from '#shared/errors.ts'
import { type Log, silentLog } from '#shared/log.ts'
import type { FunctionDefinition } from './function.ts'
import { type Phase, withHealth } from './health.ts'
import { type Opened, openFunction } from './host.ts'
import { errorReply, type HttpFunction, replyOf, tooLarge } from './reply.ts'
import { answer, invalidRequest, targetOf, writeReply } from './node-http.ts'
import { DEFAULT_LIMITS } from './serve.ts'

/** What the Functions Framework hands to a function of its `http` signature, as far as we read it. */
export type FrameworkRequest = IncomingMessage & { rawBody?: Buffer; originalUrl?: string }
export type FrameworkHandler = (request: FrameworkRequest, response: ServerResponse) => void

/** `err` is told why a function cannot be opened: it has no log yet. */
export type FrameworkOptions = { bodyBytes?: number; err?: (text: string) => void }

/**
 * A function as the Functions Framework hosts it. It is loaded and opened at the first request, whichever that is,
 * since the framework imports all functions to serve one; where that fails the next request tries again. The
 * framework ends the process by itself: nothing is drained, and `close` is not called (docs/hosting.md).
 */
export function toFramework(
  load: () => Promise<FunctionDefinition>,
  env: Environment,
  { bodyBytes = DEFAULT_LIMITS.bodyBytes, err = console.error }: FrameworkOptions = {},
): FrameworkHandler {
  const never = new AbortController().signal
  let phase: Phase = 'starting'
  let hosted: Hosted | undefined
  let opening: Promise<Hosted> | undefined

  const open = async (): Promise<Hosted> => {
    hosted = hostedBy(await openFunction(await load(), env), () => phase)
    phase = 'ready'
    return hosted
  }

  const opened = (): Promise<Hosted> => {
    if (opening !== undefined) return opening
    const attempt = open()
    opening = attempt
    attempt.catch((error: unknown) => {
      err(reasonOf(error))
      opening = undefined
    })
    return attempt
  }

  const serve = (
    { handle, log }: Hosted,
    request: FrameworkRequest,
    response: ServerResponse,
    body: Body,
  ) => {
    if (body === undefined || body.length > bodyBytes) {
      writeReply(response, tooLarge(bodyBytes))
      return
    }
    const invalid = invalidRequest(request)
    if (invalid !== undefined) {
      writeReply(response, invalid)
      return
    }
    const { path, query } = targetOf(request.originalUrl ?? request.url)
    const { method = '', headers } = request
    answer(
      handle,
      { method, path, query, headers, body, signal: never },
      (reply) => writeReply(response, reply),
      (error) => writeReply(response, replyOf(error, log)),
    )
  }

  /** For the first requests, and those whose body is still to be read. */
  const serveLater = async (request: FrameworkRequest, response: ServerResponse) => {
    const ready = opened()
    const { path } = targetOf(request.originalUrl ?? request.url)
    if (phase === 'starting' && path === '/health/readiness') {
      writeReply(response, errorReply(503, 'starting', 'The function is starting'))
      return
    }
    let log = silentLog
    try {
      const found = await ready
      log = found.log
      serve(found, request, response, request.rawBody ?? (await unparsed(request, bodyBytes)))
    } catch (error) {
      writeReply(response, replyOf(error, log))
    }
  }

  return (request, response) => {
    leaveDomain()
    if (hosted === undefined || request.rawBody === undefined) void serveLater(request, response)
    // Each promise is watched while the framework has a hook for it: one that is not made is a percent of a request.
    else serve(hosted, request, response, request.rawBody)
  }
}

type Body = Uint8Array | undefined
/**
 * The framework runs each request in a domain (node:domain) of its own, to answer 500 for what nobody catches. We catch
 * what a function throws, and what is written for several requests at once belongs to none of them. Within a domain
 * every promise and timer would be entered in its books: 23 % of the processor time of an event.
 */
function leaveDomain(): void {
  const domain: unknown = Reflect.get(process, 'domain')
  if (domain instanceof Domain) domain.exit()
}

type Hosted = { readonly handle: HttpFunction; readonly log: Log }

function hostedBy({ open, host }: Opened, phase: () => Phase): Hosted {
  if (open.handle === undefined) throw new TypeError('This function cannot be served')
  const { metrics, clock, log } = host
  return { handle: withHealth(open.handle, { metrics, clock, phase, ping: open.ping }), log }
}

/** The body that the framework left unread for want of a Content-Type; undefined if it is larger than `limit`. */
async function unparsed(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    // What is too much is read all the same: a client that is still sending would not see the reply.
    if (size <= limit) chunks.push(chunk)
  }
  return size <= limit ? Buffer.concat(chunks, size) : undefined
}

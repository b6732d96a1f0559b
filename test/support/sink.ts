import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { text } from 'node:stream/consumers'
import * as z from 'zod/mini'
import { freePort } from './free-port.ts'

/** What a Broker's ingress demands of an event in structured mode (Knative Eventing, data plane). */
const received = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().check(z.minLength(1)),
  source: z.string().check(z.minLength(1)),
  type: z.string().check(z.minLength(1)),
  sequence: z.string(),
  node: z.string(),
  data: z.looseObject({ seq: z.number(), node: z.string() }),
})

export type ReceivedEvent = z.infer<typeof received>

export type Arrival = {
  readonly event: ReceivedEvent
  readonly headers: IncomingHttpHeaders
  /** The body as it came. */
  readonly body: string
  /** What it was answered; undefined where it was left hanging. */
  readonly status: number | undefined
}

/** A status, with headers and a body where the test wants them, or no answer at all until the sink is released. */
export type Answer =
  | number
  | {
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body?: string
      /** Milliseconds until it is given. */
      readonly afterMs?: number
    }
  | 'hang'

/** A Broker stand-in on loopback, which answers as the delivery contract says, or as it is told. */
export type TestSink = {
  readonly url: string
  /** Every try that came in, in order. */
  readonly arrivals: readonly Arrival[]
  /** The events that were taken, each once, in the order of their first arrival; of one node where it is named. */
  taken(node?: string): ReceivedEvent[]
  /** From now on; a function decides for each event. */
  answer(how: Answer | ((event: ReceivedEvent, headers: IncomingHttpHeaders) => Answer)): void
  /** Answers 202 to all that was left hanging. */
  release(): void
  /** Resolves when it holds of what came in. */
  until(holds: (sink: TestSink) => boolean): Promise<void>
  /** Refuses connections until it is `up` again, on the same port. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

/** `tls`: serves HTTPS with this certificate. `path`: where events are taken; elsewhere the answer is 404. */
export async function startSink(
  options: { tls?: { cert: string; key: string }; path?: string } = {},
): Promise<TestSink> {
  const { tls, path = '/ptp-watch/default' } = options
  const arrivals: Arrival[] = []
  const watchers = new Set<() => void>()
  const hanging = new Set<ServerResponse>()
  let decide: (event: ReceivedEvent, headers: IncomingHttpHeaders) => Answer = () => 202
  let server: Server | undefined
  const port = await freePort()

  const open = async () => {
    server = tls === undefined ? createServer() : createTlsServer(tls)
    server.on('request', async (request, response: ServerResponse) => {
      const body = await text(request)
      if (request.url !== path) return void response.writeHead(404).end()
      if (request.method !== 'POST') return void response.writeHead(405, { allow: 'POST' }).end()
      const parsed = received.safeParse(parse(body))
      const structured = /^application\/cloudevents\+json(;|$)/.test(request.headers['content-type'] ?? '')
      if (!structured || !parsed.success) return void response.writeHead(400).end('no CloudEvent')
      const { headers } = request
      const answer = decide(parsed.data, headers)
      const status = typeof answer === 'number' ? answer : answer === 'hang' ? undefined : answer.status
      arrivals.push({ event: parsed.data, headers, body, status })
      if (status === undefined) hanging.add(response)
      else if (typeof answer === 'object') {
        const give = () => void response.writeHead(status, answer.headers).end(answer.body)
        if (answer.afterMs === undefined) give()
        else setTimeout(give, answer.afterMs).unref()
      } else response.writeHead(status).end()
      for (const watcher of watchers) watcher()
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }

  const shut = async () => {
    const closing = server
    server = undefined
    if (closing === undefined) return
    const closed = once(closing, 'close')
    closing.close()
    closing.closeAllConnections()
    await closed
  }

  await open()
  const sink: TestSink = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}${path}`,
    arrivals,
    taken(node) {
      const first = new Map<string, ReceivedEvent>()
      for (const { event, status = 0 } of arrivals) {
        const wanted = node === undefined || event.node === node
        if (wanted && status >= 200 && status < 300 && !first.has(event.id)) first.set(event.id, event)
      }
      return [...first.values()]
    },
    answer(how) {
      decide = typeof how === 'function' ? how : () => how
    },
    release() {
      for (const response of hanging) response.writeHead(202).end()
      hanging.clear()
    },
    until: (holds) =>
      new Promise((resolve) => {
        const look = () => {
          if (!holds(sink)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    down: shut,
    up: open,
    close: shut,
  }
  return sink
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

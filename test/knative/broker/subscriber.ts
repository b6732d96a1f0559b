import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export type Reply = {
  readonly status: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

export type Received = {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Undefined where it was never answered. */
  readonly status: number | undefined
}

/** A subscriber until the test ends; `answer` decides for each delivery, by its number: `hang` is never answered. */
export async function startSubscriber(
  answer: (number: number) => Reply | 'hang',
): Promise<{ readonly url: string; readonly received: readonly Received[] }> {
  const received: Received[] = []
  const server = createServer(async (incoming, response) => {
    const body = await buffer(incoming)
    const reply = answer(received.length)
    const status = reply === 'hang' ? undefined : reply.status
    received.push({ headers: incoming.headers, body, status })
    if (reply !== 'hang') response.writeHead(reply.status, reply.headers).end(reply.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`, received }
}

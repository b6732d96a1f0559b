import { createServer } from 'node:http'
import { onTestFinished } from 'vitest'
import { listen } from './listen.ts'

export type Arrival = { readonly path: string; readonly body: string }

/** A consumer's endpoint on a real socket: remembers what it is posted, answers 204 unless told otherwise. */
export async function startConsumer(): Promise<{
  url: string
  arrivals: Arrival[]
  answer: (reply: (arrival: Arrival) => number | Promise<number>) => void
}> {
  const arrivals: Arrival[] = []
  let reply: (arrival: Arrival) => number | Promise<number> = () => 204
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const arrival = { path: request.url ?? '', body: Buffer.concat(chunks).toString('utf8') }
    arrivals.push(arrival)
    response.writeHead(await reply(arrival)).end()
  })
  const url = await listen(server)
  return {
    url,
    arrivals,
    answer: (next) => {
      reply = next
    },
  }
}

/** Closes what was opened when the test ends, however it ends. */
export function using<T extends AsyncDisposable>(resource: T): T {
  onTestFinished(() => resource[Symbol.asyncDispose]())
  return resource
}

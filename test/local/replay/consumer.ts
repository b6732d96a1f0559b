import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../support/free-port.ts'

/** A call that the simulated publisher made to the consumer. */
export interface ReceivedCall {
  /** As recorded: 9089 or 9189, whatever the real port is. */
  readonly recordedPort: number
  readonly method: string
  readonly target: string
  /** Names as spelt and ordered on the wire. */
  readonly headerNames: readonly string[]
  readonly host: string | undefined
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly location?: string | undefined
  /** How long the answer takes (ms). */
  readonly afterMs?: number
}

/** The recorded consumer: real ports that stand for 9089 and 9189, and one for 9199, where nothing listens. */
export async function startConsumer() {
  const calls: ReceivedCall[] = []
  let arrived = () => {}
  const answers = new Map<string, Answer[]>()
  const servers = new Map<number, { server: Server; port: number }>()

  async function answer(recordedPort: number, request: IncomingMessage) {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const target = request.url ?? '/'
    calls.push({
      recordedPort,
      method: request.method ?? '',
      target,
      headerNames: request.rawHeaders.filter((_, index) => index % 2 === 0),
      host: request.headers.host,
      body: Buffer.concat(chunks).toString(),
    })
    arrived()
    const due = answers.get(`${recordedPort}${target}`)?.shift() ?? { status: 204 }
    if (due.afterMs) await sleep(due.afterMs)
    return due
  }

  async function open(recordedPort: number, port: number) {
    const server = createServer((request, response) => {
      void answer(recordedPort, request).then(({ status, location }) => {
        response.writeHead(status, location === undefined ? {} : { Location: location }).end()
      })
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    servers.set(recordedPort, { server, port })
  }

  async function shut(recordedPort: number) {
    const { server } = servers.get(recordedPort) ?? {}
    if (!server?.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }

  for (const port of [9089, 9189, 9199]) await open(port, await freePort())
  await shut(9199)

  return {
    /** The calls since the last `take()`, which forgets them. */
    take: () => calls.splice(0),
    /** Resolves when that many calls wait to be taken. */
    async received(count: number) {
      while (calls.length < count) {
        await new Promise<void>((resolve) => {
          arrived = resolve
        })
      }
    },
    /** Recorded port to real port. */
    ports: () => new Map([...servers].map(([recorded, { port }]) => [recorded, port])),
    /** Queues the answers of an endpoint; without one it answers 204. */
    expect(recordedPort: number, target: string, answer: Answer) {
      const key = `${recordedPort}${target}`
      answers.set(key, [...(answers.get(key) ?? []), answer])
    },
    async refuse(recordedPort: number, isRefusing: boolean) {
      const entry = servers.get(recordedPort)
      if (isRefusing) await shut(recordedPort)
      else if (entry && !entry.server.listening) await open(recordedPort, entry.port)
    },
    async close() {
      for (const port of servers.keys()) await shut(port)
    },
  }
}

export type Consumer = Awaited<ReturnType<typeof startConsumer>>

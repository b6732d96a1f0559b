import { once } from 'node:events'
import { createServer } from 'node:http'
import { onTestFinished } from 'vitest'

/** A consumer's endpoint that keeps the bodies it gets, in order of arrival. */
export async function startEndpoint(status: (count: number) => number = () => 204) {
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    bodies.push(Buffer.concat(chunks).toString())
    response.writeHead(status(bodies.length)).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (!address || typeof address !== 'object') throw new Error('no port')
  async function close() {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(async () => {
    if (server.listening) await close()
  })
  return {
    url: `http://127.0.0.1:${address.port}/event`,
    bodies,
    /** The values of all bodies since the last call. */
    takeValues: () =>
      bodies
        .splice(0)
        .map((body) => [...body.matchAll(/"value":"([^"]*)"/g)].map(([, value]) => value).join(' ')),
    close,
  }
}

export async function postJson(url: string, body: unknown) {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  return { status: response.status, body: await response.text() }
}

import { createServer } from 'node:http'
import { Agent } from 'undici'

/** What any server in Node.js has to do to pass a notification on: read it, parse it, answer it, post it. */
const agent = new Agent({ connections: 32 })
const sink = process.env.SINK ?? ''
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    JSON.parse(body)
    response.writeHead(204).end()
    const headers = { 'content-type': 'application/json' }
    void agent
      .request({ origin: sink, path: '/', method: 'POST', headers, body })
      .then((answer) => answer.body.dump())
  })
})
server.keepAliveTimeout = 100_000
server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => process.exit())

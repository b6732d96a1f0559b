import { createServer } from 'node:http'

/** What any server in Node.js has to do for a notification: read it, parse it, answer it. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    // An empty body asks whether anybody is there.
    if (body.length > 0) JSON.parse(body.toString())
    response.writeHead(204).end()
  })
})
server.keepAliveTimeout = 100_000
server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => process.exit())

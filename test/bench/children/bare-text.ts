import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

/** A text of a file as the reply to whatever is asked. */
const text = readFileSync(process.env.TEXT_FILE ?? '', 'utf8')
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-length': Buffer.byteLength(text) }).end(text)
})
server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => process.exit())

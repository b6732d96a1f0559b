import { createServer } from 'node:http'
import { createClient } from '@redis/client'

/** The least that a server which stores what it is sent has to do: one SET, then the answer. */
const client = createClient({ RESP: 2, url: process.env.STATE_URL ?? '' })
await client.connect()

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    JSON.parse(body)
    void client.sendCommand(['SET', 'last', body]).then(() => response.writeHead(204).end())
  })
})
server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => process.exit())

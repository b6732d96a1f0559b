import { createServer } from 'node:http'
import { createClient } from '@redis/client'

/** All documents of a store as they lie there, by the same client, as one JSON text. */
const client = createClient({ RESP: 2, url: process.env.STATE_URL ?? '' })
await client.connect()
const command = (...words: string[]) => client.sendCommand<string[]>(words)

async function all(): Promise<string> {
  const tags = [...'0123456789abcdef']
  const shares = await Promise.all(
    tags.map(async (tag) => {
      const nodes = await command('ZRANGE', `ptpwatch:{${tag}}:nodes`, '0', '-1')
      return Promise.all(nodes.map((node) => command('HGETALL', `ptpwatch:{${tag}}:state:${node}`)))
    }),
  )
  return JSON.stringify(shares.flat())
}

const server = createServer((_request, response) => {
  void all().then((body) => {
    response.writeHead(200, { 'content-length': Buffer.byteLength(body) }).end(body)
  })
})
server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => process.exit())

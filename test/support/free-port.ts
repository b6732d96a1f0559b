import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port of 127.0.0.1 for who can not be told to take any: free now, and unlikely to be taken before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('No port is free')
  return address.port
}

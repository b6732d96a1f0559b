import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that systems give to connections of their own: what is free here stays free until it is used. */
const FIRST = 20_000
const LAST = 29_999

/** A port of 127.0.0.1 for who cannot be told to take any, or who takes the same again after a restart. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST + 1 - FIRST))
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

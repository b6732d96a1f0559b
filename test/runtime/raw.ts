import { connect, type Socket } from 'node:net'

/** A connection on which a test says exactly what it likes, also what is no HTTP. */
export type RawConnection = {
  readonly socket: Socket
  send(text: string): void
  /** All that has come, as soon as it passes. Rejects when the connection closes before. */
  until(pattern: Pick<RegExp, 'test'>): Promise<string>
  /** All that has come, once the other side has closed. */
  closed(): Promise<string>
  [Symbol.dispose](): void
}

export async function rawConnection(port: number): Promise<RawConnection> {
  let text = ''
  const socket = connect(port, '127.0.0.1')
  const watchers = new Set<() => void>()
  let over = false
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    text += chunk
    for (const watcher of watchers) watcher()
  })
  // A reset tells the same as a close: what matters is what had come by then.
  socket.on('error', () => {})
  socket.on('close', () => {
    over = true
    for (const watcher of watchers) watcher()
  })
  const when = (done: () => boolean, failed: () => boolean) =>
    new Promise<string>((resolve, reject) => {
      const watcher = () => {
        if (!done() && !failed()) return
        watchers.delete(watcher)
        if (done()) resolve(text)
        else reject(new Error(`The connection closed after ${JSON.stringify(text)}`))
      }
      watchers.add(watcher)
      watcher()
    })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return {
    socket,
    send: (more) => void socket.write(more),
    until: (pattern) =>
      when(
        () => pattern.test(text),
        () => over,
      ),
    closed: () =>
      when(
        () => over,
        () => false,
      ),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

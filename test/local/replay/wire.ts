import { request as httpRequest } from 'node:http'

export interface Reply {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

/** Sends a request with its path exactly as given; undefined when the connection is refused. */
export function send(
  origin: string,
  options: { method: string; path: string; headers: Record<string, string>; body: string | null },
): Promise<Reply | undefined> {
  const { method, path, headers, body } = options
  const { hostname, port } = new URL(origin)
  // Ports of another width make a body longer than it was.
  const sized = body === null ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { hostname, port, method, path, headers: sized, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        )
      },
    )
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(error)
    })
    outgoing.end(body ?? undefined)
  })
}

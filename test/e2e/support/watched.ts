import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { request } from 'undici'
import { onTestFinished } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'

/** A way to a publisher that writes down what is asked, and can withhold every answer. */
export type Watched = {
  readonly node: string
  readonly url: string
  /** `GET /subscriptions`, `GET lock-state/CurrentState`, in the order in which they came. */
  readonly asked: string[]
  /** Takes requests from now on and answers none. */
  hold(): void
  /** Answers what was held, and what comes. */
  release(): void
}

export async function watched(publisher: Publisher): Promise<Watched> {
  const asked: string[] = []
  let held: (() => void)[] | undefined
  const pass = async (method: string, url: string, body: string, response: ServerResponse) => {
    const answer = await request(`${publisher.url}${url}`, {
      method: method === 'POST' || method === 'DELETE' ? method : 'GET',
      ...(body !== '' && { body }),
    })
    response.statusCode = answer.statusCode
    response.end(await answer.body.text())
  }
  const server = createServer((incoming, response) => {
    const { method = '', url = '' } = incoming
    asked.push(`${method} ${/[^/]*(\/CurrentState)?$/.exec(url)?.[0]}`)
    let body = ''
    incoming.setEncoding('utf8').on('data', (text) => {
      body += text
    })
    incoming.on('end', () => {
      const answer = () => void pass(method, url, body, response).catch(() => response.destroy())
      if (held === undefined) answer()
      else held.push(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('The server has no port')
  return {
    node: publisher.node,
    url: `http://127.0.0.1:${address.port}`,
    asked,
    hold() {
      held ??= []
    },
    release() {
      const waiting = held ?? []
      held = undefined
      for (const answer of waiting) answer()
    },
  }
}

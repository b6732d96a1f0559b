import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import * as z from 'zod/mini'
import { changingNotifications, createTimes, nodeName, oneOfEachKind } from '../notifications.ts'
import { answering } from './answering.ts'

const job = z.object({
  url: z.string(),
  connections: z.number(),
  nodes: z.number(),
  /** What each node is sent, round and round. */
  what: z.enum(['changes', 'each-kind']),
  /** It ends after so many seconds or so many requests. */
  seconds: z.optional(z.number()),
  count: z.optional(z.number()),
  /** Requests a second, on time whatever the server does; without it each connection sends when it was answered. */
  rate: z.optional(z.number()),
})

/** Each node's events go over one connection each, so that they arrive in their order. */
const templates = { changes: changingNotifications(), 'each-kind': oneOfEachKind() }
const times = createTimes()
const sentTo = new Map<string, number>()

answering(async (message) => {
  const { url, connections, nodes, what, seconds, count, rate } = job.parse(message)
  const { host, hostname, port } = new URL(url)
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(Number(port), hostname).setNoDelay()
      await once(socket, 'connect')
      return socket
    }),
  )
  const events = templates[what]
  const perConnection = Math.ceil(nodes / connections)
  const turns = sockets.map(() => 0)

  /** The next request of a connection. */
  const next = (index: number): string => {
    const turn = turns[index] ?? 0
    turns[index] = turn + 1
    const node = nodeName((index + connections * (turn % perConnection)) % nodes)
    const sent = sentTo.get(node) ?? 0
    sentTo.set(node, sent + 1)
    const body = events[sent % events.length]?.fill(node, times()) ?? ''
    const head = `POST /event/${node} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n`
    return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
  }

  const latencies: number[] = []
  const begunAt = performance.now()
  const endsAt = begunAt + (seconds ?? Number.POSITIVE_INFINITY) * 1000
  let planned = 0
  let refused = 0
  const ended = () => performance.now() >= endsAt || planned >= (count ?? Number.POSITIVE_INFINITY)

  await Promise.all(rate === undefined ? sockets.map(closedLoop) : [openLoop(rate)])
  const took = (performance.now() - begunAt) / 1000
  for (const socket of sockets) socket.destroy()
  latencies.sort((a, b) => a - b)
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN
  return { rate: latencies.length / took, p99, answered: latencies.length, refused }

  async function closedLoop(socket: Socket, index: number): Promise<void> {
    while (!ended()) {
      planned += 1
      await exchange(socket, next(index), performance.now())
    }
  }

  /** What finds no connection free waits, and its waiting counts. */
  function openLoop(perSecond: number): Promise<void> {
    const free = sockets.map((_, index) => index)
    const due: number[] = []
    return new Promise((resolve, reject) => {
      const start = () => {
        for (let index = free.shift(); index !== undefined; index = free.shift()) {
          const since = due.shift()
          const socket = sockets[index]
          if (since === undefined || socket === undefined) return void free.unshift(index)
          const own = index
          exchange(socket, next(own), since).then(() => {
            free.push(own)
            start()
          }, reject)
        }
      }
      const timer = setInterval(() => {
        while (!ended() && begunAt + (planned / perSecond) * 1000 <= performance.now()) {
          due.push(begunAt + (planned / perSecond) * 1000)
          planned += 1
        }
        start()
        if (!ended() || due.length > 0 || free.length < sockets.length) return
        clearInterval(timer)
        resolve()
      }, 1)
    })
  }

  function exchange(socket: Socket, request: string, since: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let text = ''
      const onData = (chunk: Buffer) => {
        text += chunk.toString('latin1')
        if (!isComplete(text)) return
        socket.off('data', onData)
        socket.off('close', onClose)
        if (!text.startsWith('HTTP/1.1 20')) refused += 1
        latencies.push(performance.now() - since)
        resolve()
      }
      const onClose = () => reject(new Error('The server closed a connection'))
      socket.on('data', onData)
      socket.on('close', onClose)
      socket.write(request)
    })
  }
})

/** Servers under test answer without a body, or with one whose length they say. */
function isComplete(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  if (text.startsWith('HTTP/1.1 204')) return true
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
  return text.length >= end + 4 + Number(length ?? 0)
}

import { once } from 'node:events'
import { createServer } from 'node:http'
import { Agent } from 'undici'
import * as z from 'zod/mini'
import { createTimes, nodeName } from '../notifications.ts'
import { answering } from './answering.ts'

const job = z.discriminatedUnion('do', [
  z.object({ do: z.literal('listen') }),
  z.object({
    do: z.literal('run'),
    url: z.string(),
    nodes: z.number(),
    seconds: z.number(),
    /** Events a second, on time whatever the server does. */
    rate: z.number(),
  }),
])

/** By the time that an event says, which is each event's own: when it was sent. */
const sent = new Map<string, number>()
let tookMs: number[] = []

/** Both ends of the way, so that one clock measures it: the publishers, and the sink. */
const sink = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (text) => {
    body += text
  })
  request.on('end', () => {
    const [, time = ''] = /"time":"([^"]+)"/.exec(body) ?? []
    const at = sent.get(time)
    // What comes second of an event, its node's state, is not counted.
    if (at !== undefined && sent.delete(time)) tookMs.push(performance.now() - at)
    response.writeHead(202).end()
  })
})
sink.keepAliveTimeout = 100_000
const agent = new Agent({ connections: 32, pipelining: 1 })
const times = createTimes()
let count = 0

function bodyOf(node: string, time: string, value: string): string {
  return JSON.stringify({
    id: '53d580b0-95d5-4795-a634-ca6e94cf259b',
    specversion: '1.0',
    type: 'event.sync.ptp-status.ptp-state-change',
    source: `/cluster/node/${node}/sync/ptp-status/lock-state`,
    time,
    data: {
      version: '1.0',
      values: [
        {
          ResourceAddress: `/cluster/node/${node}/ens5fx/master`,
          data_type: 'notification',
          value_type: 'enumeration',
          value,
        },
      ],
    },
  })
}

answering(async (message) => {
  const work = job.parse(message)
  if (work.do === 'listen') {
    sink.listen(0, '127.0.0.1')
    await once(sink, 'listening')
    const address = sink.address()
    return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}` }
  }
  const { url, nodes, seconds, rate } = work
  sent.clear()
  tookMs = []
  let refused = 0
  const send = async () => {
    const node = nodeName(count % nodes)
    const isFreerun = Math.floor(count / nodes) % 2 === 0
    count += 1
    const time = times()
    if (isFreerun) sent.set(time, performance.now())
    const body = bodyOf(node, time, isFreerun ? 'FREERUN' : 'LOCKED')
    const path = `/event/${node}`
    const answer = await agent.request({ origin: url, path, method: 'POST', body })
    await answer.body.dump()
    if (answer.statusCode !== 204) refused += 1
  }
  const begunAt = performance.now()
  const under: Promise<void>[] = []
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      while (under.length < rate * seconds && begunAt + (under.length / rate) * 1000 <= performance.now()) {
        under.push(send())
      }
      if (under.length < rate * seconds) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  await Promise.all(under)
  while (sent.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  tookMs.sort((a, b) => a - b)
  const at = (share: number) => tookMs[Math.floor(tookMs.length * share)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), refused }
})

import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
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

/** How long to wait for the next event at the sink. */
const PATIENCE_MS = 20_000
const BUSY =
  'on a busy machine a FREERUN may arrive after the LOCKED that follows it, and then counts as late'

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
  for (let left = sent.size, since = performance.now(); sent.size > 0; await sleep(5)) {
    if (sent.size < left) [left, since] = [sent.size, performance.now()]
    if (performance.now() - since > PATIENCE_MS)
      throw new Error(`${left} events never reached the sink: ${BUSY}`)
  }
  tookMs.sort((a, b) => a - b)
  const at = (share: number) => tookMs[Math.floor(tookMs.length * share)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), refused }
})

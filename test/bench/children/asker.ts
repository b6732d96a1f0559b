import pLimit from 'p-limit'
import { Agent } from 'undici'
import * as z from 'zod/mini'
import { answering } from './answering.ts'

const job = z.object({
  do: z.enum(['poll', 'light', 'subscribe']),
  publishers: z.array(z.object({ node: z.string(), url: z.string() })),
  /** Publishers at once. */
  concurrency: z.number(),
  /** Where notifications go. */
  callback: z.string(),
})

const BASE = '/api/ocloudNotifications/v2'
const RESOURCES = [
  'ptp-status/lock-state',
  'sync-status/os-clock-sync-state',
  'ptp-status/clock-class',
  'gnss-status/gnss-sync-status',
  'sync-status/sync-state',
]

const agent = new Agent({ connections: 2, pipelining: 1 })

/** The same requests as poll and subscribe send, and nothing done with the answers. */
async function ask(origin: string, path: string, wanted: number, body?: object): Promise<void> {
  const answer = await agent.request({
    origin,
    path: `${BASE}${path}`,
    method: body === undefined ? 'GET' : 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  })
  await answer.body.text()
  if (answer.statusCode !== wanted) throw new Error(`${origin}${path} answered ${answer.statusCode}`)
}

async function work(message: unknown): Promise<object> {
  const { do: what, publishers, concurrency, callback } = job.parse(message)
  const begunAt = performance.now()
  await pLimit(concurrency).map(publishers, async ({ node, url }) => {
    if (what === 'light') {
      const deciding = RESOURCES.slice(0, 2).map((resource) => `/cluster/node/${node}/sync/${resource}`)
      await Promise.all(deciding.map((address) => ask(url, `${address}/CurrentState`, 200)))
      return
    }
    await ask(url, '/publishers', 200)
    await ask(url, '/subscriptions', 200)
    const addresses = RESOURCES.map((resource) => `/cluster/node/${node}/sync/${resource}`)
    if (what === 'poll') {
      await Promise.all(addresses.map((address) => ask(url, `${address}/CurrentState`, 200)))
      return
    }
    for (const address of addresses) {
      const body = { EndpointUri: `${callback}/event/${node}`, ResourceAddress: address }
      await ask(url, '/subscriptions', 201, body)
    }
  })
  return { seconds: (performance.now() - begunAt) / 1000 }
}

// Run as a command, the job is its argument.
if (process.send === undefined) await work(JSON.parse(process.argv[2] ?? '')).then(() => process.exit())
else answering(work)

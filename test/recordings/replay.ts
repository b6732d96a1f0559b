import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createIngestHandler } from '#functions/ingest/handler.ts'
import { createIngestMetrics } from '#functions/ingest/metrics.ts'
import { createReceiver } from '#functions/ingest/receive.ts'
import { createBacklog } from '#functions/ingest/backlog.ts'
import { createPoller } from '#functions/poll/poll.ts'
import { createPollMetrics } from '#functions/poll/metrics.ts'
import { createCallback } from '#shared/callback.ts'
import { silentLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import type { Resource } from '#shared/publishers/dialects/client.ts'
import { createHttp } from '#shared/http/client.ts'
import { type Reconciled, type Reconciler, unreconciled } from '#shared/publishers/reconcile/reconciler.ts'
import { createJournal } from '#shared/publishers/reconcile/journal.ts'
import { createRegistry } from '#shared/publishers/dialects/registry.ts'
import { kindOfAddress } from '#shared/events/kind.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { createStore } from '#shared/state/store/store.ts'
import { beginOf, type Exchange, isOurNotification, pulledAddress, type Recording } from './recording.ts'

export type Replayed = { readonly state: NodeState; readonly log: readonly LogEntry[] }

/**
 * Sends a recording through ingest and poll, its own times being the clock: notifications go to the ingest handler,
 * every recorded pull is a poll, by our client, of a server that answers with the recorded bytes. `arrival` says
 * when a notification comes in, in milliseconds of the recording's time.
 */
export async function replay(
  recording: Recording,
  arrival: (exchange: Exchange, index: number) => number = beginOf,
): Promise<Replayed> {
  let now = 0
  const clock = { now: () => now }
  const store = createStore(createMemoryDriver(), {
    historyPerNode: 100_000,
    log: silentLog,
    random: () => 0.5,
  })
  const { node, dialect } = recording
  const ingest = ingestOver(store, clock, node)
  await using publisher = await publisherOf(recording.exchanges, (exchange) => {
    now = beginOf(exchange) + exchange.ms
  })
  const poll = pollerOver(store, clock, { node, url: publisher.url, dialect })
  const record = createJournal(
    { store, clock, overall: () => 'UNKNOWN', newIncarnation: () => 'recording', refreshMs: 60_000 },
    node,
  )
  const byNumber = new Map(recording.exchanges.map((exchange) => [exchange.n, exchange]))
  // An initial notification comes while its create is under way, which we announce in the store before.
  const creates = new Set(
    recording.exchanges.filter(isOurNotification).flatMap(({ during }) => byNumber.get(during ?? -1) ?? []),
  )
  const acts: { at: number; run: () => Promise<void> }[] = []
  for (const [index, exchange] of recording.exchanges.entries()) {
    const begin = beginOf(exchange)
    if (isOurNotification(exchange)) {
      const at = exchange.during === undefined ? arrival(exchange, index) : begin
      acts.push({
        at,
        run: async () => {
          now = at
          const reply = await ingest(exchange)
          if (reply !== 204) throw new Error(`${recording.name} ${exchange.n}: ingest answered ${reply}`)
        },
      })
    }
    if (creates.has(exchange)) {
      const kind = kindOfAddress(addressIn(exchange))
      if (kind === undefined) continue
      acts.push({
        at: begin - 0.5,
        run: async () => {
          now = begin
          await record.pending(kind, dialect !== 'starlingx-v2')
        },
      })
      acts.push({
        at: begin + exchange.ms + 0.5,
        run: async () => {
          record.answered(kind, { sentInitial: exchange.response?.status === 201 })
          await record.flush()
        },
      })
    }
    const address = pulledAddress(exchange)
    if (address !== undefined && kindOfAddress(address) !== undefined && exchange.response !== null) {
      acts.push({
        at: begin + exchange.ms,
        run: async () => {
          now = begin
          publisher.answerWith(exchange)
          await poll.one(address)
        },
      })
    }
  }
  acts.sort((a, b) => a.at - b.at)
  for (const { run } of acts) await run()
  await poll.close()
  const state = await store.read(node)
  if (state === undefined) throw new Error(`${recording.name} left no state`)
  return { state, log: await store.log(node, { after: 0, limit: 100_000 }) }
}

type Clock = { now(): number }
type Store = ReturnType<typeof createStore>

function ingestOver(store: Store, clock: Clock, node: string): (exchange: Exchange) => Promise<number> {
  const metrics = createIngestMetrics(createMetrics())
  const callback = createCallback({ url: 'http://127.0.0.1:9089' })
  const receiver = createReceiver({
    store,
    backlog: createBacklog({ log: silentLog, metrics }),
    clock,
    log: silentLog,
    metrics,
    newId: () => 'recording',
    settings: defaultSettings,
    configured: new Set([node]),
    trusted: callback.secured,
  })
  const { handle } = createIngestHandler({ receiver, callback, clock })
  return async ({ request }) => {
    const reply = await handle({
      method: 'POST',
      path: `/event/${node}`,
      query: '',
      headers: {},
      body: Buffer.from(request.body ?? ''),
      signal: new AbortController().signal,
    })
    return reply.status
  }
}

/** Polls one resource; what keeping subscriptions does is the reconciler's own suite's affair. */
function pollerOver(
  store: Store,
  clock: Clock,
  target: Pick<Recording, 'node' | 'dialect'> & { readonly url: string },
) {
  const http = createHttp({ clock, log: silentLog })
  const registry = createRegistry({ http, log: silentLog })
  let resource: Resource = { kind: '', address: '' }
  const found = async (): Promise<Reconciled> => ({
    ...unreconciled(target),
    dialect: target.dialect,
    reachable: true,
    resources: [resource],
    applied: {
      created: [],
      adopted: [],
      refreshed: [],
      restored: [],
      held: new Set([resource.kind]),
      lacking: [],
      withheld: 0,
      removed: 0,
      problems: [],
      retryable: false,
    },
  })
  const reconciler: Reconciler = { reconcile: found, unstick: found }
  const poller = createPoller({
    registry,
    reconciler,
    store,
    clock,
    log: silentLog,
    metrics: createPollMetrics(createMetrics()),
    newId: () => 'recording',
    settings: defaultSettings,
    concurrency: 1,
  })
  return {
    async one(address: string) {
      resource = { kind: kindOfAddress(address) ?? '', address }
      await poller.poll([target], { signal: new AbortController().signal })
    },
    close: () => http.close(),
  }
}

/**
 * A server on loopback that answers the next pull with what was recorded. What our client asks besides, to be certain
 * of it, is answered as it was when somebody asked it next to that pull.
 */
async function publisherOf(exchanges: readonly Exchange[], onPull: (exchange: Exchange) => void) {
  let next: Exchange | undefined
  const byTarget = Map.groupBy(
    exchanges.filter(({ response }) => response !== null),
    ({ request }) => request.target,
  )
  const server = createServer((request, response) => {
    if (next?.response == null) return response.writeHead(500).end()
    const at = beginOf(next)
    const isAsked = request.url === next.request.target
    const from = (one: Exchange) => Math.abs(beginOf(one) - at)
    const others = byTarget.get(request.url ?? '') ?? []
    const found = isAsked
      ? next
      : others.reduce<Exchange | undefined>(
          (best, one) => (best === undefined || from(one) < from(best) ? one : best),
          undefined,
        )
    if (found?.response == null) return response.writeHead(421).end(next.request.target)
    if (isAsked) onPull(next)
    const { status, body, headers } = found.response
    const type = headers['Content-Type']
    const date = headers.Date
    // By the clock of the publisher then, or not at all.
    response.sendDate = false
    response.writeHead(status, { ...(type && { 'content-type': type }), ...(date && { date }) }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    answerWith(exchange: Exchange) {
      next = exchange
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function addressIn({ request }: Exchange): string {
  const body: unknown = JSON.parse(request.body ?? '{}')
  if (typeof body !== 'object' || body === null) return ''
  const address = 'ResourceAddress' in body ? body.ResourceAddress : 'resource' in body ? body.resource : ''
  return typeof address === 'string' ? address : ''
}

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { Agent, request } from 'undici'
import { ofKind } from '../support/render.ts'
import type { Manifest } from '../support/schemas.ts'
import { deadLetter, type Delivery } from './contract.ts'
import { type Attempt, deliver, type DeliverOptions } from './deliver.ts'
import { type CloudEvent, type Mode, readEvent, writeEvent } from './event.ts'
import { passes, type Trigger } from './trigger.ts'

/** A Broker, its Triggers and its JobSink on loopback, made from their manifests, with nothing of Knative. */
export type Broker = {
  /** Its ingress, for K_SINK. */
  readonly url: string
  /** What came in, as it was taken: our own events, others' and replies. */
  readonly events: readonly CloudEvent[]
  /** Every try at every subscriber, in the order of the answers. */
  readonly attempts: readonly Attempt[]
  /** What the JobSink was given. */
  readonly deadLetters: readonly CloudEvent[]
  /** Puts an event into it as the adapter of another cluster does; fails where it is not taken. */
  publish(event: CloudEvent, mode?: Mode): Promise<void>
  add(trigger: Trigger): void
  /** Resolves when everything is delivered, or lies with the dead letters. */
  idle(): Promise<void>
  /** Resolves when it holds; looked at whenever something has come in or was tried. */
  until(holds: () => boolean): Promise<void>
  /** Ends at once; what is not delivered is lost. */
  close(): Promise<void>
}

export type BrokerOptions = {
  readonly namespace?: string
  /** In which mode subscribers are given their events: `spec.delivery.format`. */
  readonly mode?: Mode
  /** As Kafka's Broker does it for a Trigger that is annotated so: those of one partition key one after the other. */
  readonly ordered?: boolean
} & Pick<DeliverOptions, 'loses' | 'pause'>

/** How often an event may still go round. */
const TTL = 'knativebrokerttl'
const FIRST_TTL = 255

export async function startBroker(
  manifests: readonly Manifest[],
  options: BrokerOptions = {},
): Promise<Broker> {
  const { namespace = 'ptp-watch', mode = 'binary', ordered = false, ...others } = options
  const [own] = ofKind(manifests, 'Broker', 'eventing.knative.dev/v1')
  if (own === undefined) throw new Error('There is no Broker in the manifests')
  const ingress = `/${namespace}/${own.metadata.name}`
  const sinks = ofKind(manifests, 'JobSink').map(({ metadata }) => `/${namespace}/${metadata.name}`)
  const events: CloudEvent[] = []
  const attempts: Attempt[] = []
  const deadLetters: CloudEvent[] = []
  const triggers: Trigger[] = []
  const lanes = new Map<string, Promise<void>>()
  const work = new Set<Promise<void>>()
  const watchers = new Set<() => void>()
  const ended = new AbortController()
  const dispatcher = new Agent({ connections: 64 })

  const look = () => {
    for (const watcher of watchers) watcher()
  }

  const onAttempt = (attempt: Attempt) => {
    attempts.push(attempt)
    look()
  }

  const dispatch = async (event: CloudEvent, ttl: number, trigger: Trigger): Promise<void> => {
    const delivery: Delivery = trigger.delivery ?? own.spec.delivery
    const common = { delivery, dispatcher, mode, ended: ended.signal, ...others }
    const { destination } = trigger
    const result = await deliver(event, { ...common, destination, onAttempt, prefersReply: true })
    if (result.kind === 'reply')
      take({ ...result.event, attributes: { ...result.event.attributes, [TTL]: String(ttl) } })
    if (result.kind !== 'dead') return
    const letter = deadLetter(event, { ...result, destination: destination() })
    const at = `${origin}/${namespace}/${delivery.deadLetterSink.ref.name}`
    const buried = await deliver(letter, {
      ...common,
      destination: () => at,
      onAttempt: () => {},
      prefersReply: false,
    })
    if (buried.kind === 'dead') throw new Error(`The JobSink answered ${buried.code}`)
  }

  const track = (doing: Promise<void>) => {
    const tracked = doing.catch((error: unknown) => {
      if (!ended.signal.aborted) throw error
    })
    work.add(tracked)
    void tracked.finally(() => {
      work.delete(tracked)
      look()
    })
    return tracked
  }

  /** True unless the event has gone round too often. */
  const take = ({ attributes, data }: CloudEvent): boolean => {
    const { [TTL]: hops, ...rest } = attributes
    const ttl = hops === undefined ? FIRST_TTL : Number(hops) - 1
    if (ttl <= 0) return false
    const event = { attributes: { ...rest, knativearrivaltime: new Date().toISOString() }, data }
    events.push(event)
    for (const trigger of triggers) {
      if (!passes(trigger, event)) continue
      const lane = `${trigger.name} ${rest.partitionkey ?? rest.id}`
      const before = ordered ? lanes.get(lane) : undefined
      lanes.set(lane, track((before ?? Promise.resolve()).then(() => dispatch(event, ttl, trigger))))
    }
    look()
    return true
  }

  const answer = async (incoming: IncomingMessage): Promise<number> => {
    const isSink = sinks.includes(incoming.url ?? '')
    if (!isSink && incoming.url !== ingress) return 404
    if (incoming.method !== 'POST') return 405
    const event = readEvent(incoming.headers, await buffer(incoming))
    if (event === undefined) return 400
    if (!isSink) return take(event) ? 202 : 400
    deadLetters.push(event)
    return 202
  }

  const server = createServer((incoming, response: ServerResponse) => {
    void answer(incoming).then((status) => response.writeHead(status).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const url = `${origin}${ingress}`

  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const watcher = () => {
        if (!holds()) return
        watchers.delete(watcher)
        resolve()
      }
      watchers.add(watcher)
      watcher()
    })

  return {
    url,
    events,
    attempts,
    deadLetters,
    async publish(event, as = 'binary') {
      const { statusCode, body } = await request(url, {
        method: 'POST',
        ...writeEvent(event, as),
        dispatcher,
      })
      await body.dump()
      if (statusCode !== 202) throw new Error(`The Broker answered ${statusCode}`)
    },
    add: (trigger) => void triggers.push(trigger),
    idle: () => until(() => work.size === 0),
    until,
    async close() {
      ended.abort(new Error('The Broker ends'))
      await Promise.all(work)
      await dispatcher.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

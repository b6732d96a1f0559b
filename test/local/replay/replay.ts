import { setTimeout as sleep } from 'node:timers/promises'
import type { LogReader } from './log-lines.ts'
import type { Publisher } from '#local/publishers/index.ts'
import { type Consumer, type ReceivedCall, startConsumer } from './consumer.ts'
import { isException } from './exceptions.ts'
import { createFeed } from './feed.ts'
import { createLabels, normalBody } from './normal.ts'
import { operate } from './scenario.ts'
import { type Exchange, isCall, readTranscript } from './transcript.ts'
import { send } from './wire.ts'

/** One comparison: what the recording says, and what the simulator did. */
export interface Compared {
  readonly n: number
  /** How many recorded exchanges it covers: a request is one, calls count each. */
  readonly covers: number
  readonly recorded: unknown
  readonly actual: unknown
}

/** How much faster than recorded slow consumers answer; publishers' time-outs are shortened alike. */
export const timeScale = 0.1

/** Headers of replies that a client can rely on. */
const headersThatMatter = ['Content-Type', 'Location', 'Allow', 'X-Content-Type-Options']

export interface ReplayOptions {
  /** Feeds the recorded log lines through it, instead of what the recorded bodies say. */
  readonly reader?: LogReader
  /** The exchange before which the sidecar got stuck. */
  readonly stuckFrom?: number
  /** Whether the event held then was overtaken by the one after it. */
  readonly swapsHeld?: boolean
}

/**
 * Sends the consumer's requests of a recording to a simulated publisher, in order, and returns every
 * exchange of both directions side by side, save the listed exceptions.
 */
export async function replay(
  name: string,
  publisher: Publisher,
  options: ReplayOptions = {},
): Promise<readonly Compared[]> {
  const exchanges = readTranscript(name)
  const consumer = await startConsumer()
  try {
    const feed = createFeed(publisher, exchanges)
    const labels = createLabels()
    const ports = () => [...consumer.ports(), ...publisherPorts(publisher)]
    const compared: Compared[] = []
    // While a sidecar holds an event, idle would come with a time-out that the recording did not have.
    let isHolding = false

    for (let index = 0; index < exchanges.length; index += 1) {
      const exchange = exchanges[index]
      if (!exchange) break
      if (options.stuckFrom === exchange.n) await publisher.faults({ stuck: true })
      isHolding ||= options.stuckFrom === exchange.n
      const isFed = await operate({ publisher, consumer, feed }, exchange)
      if (isFed) isHolding = false
      if (isCall(exchange)) {
        const group = groupAt(exchanges, index)
        const expected = group.filter(({ n }) => !isException(name, n))
        for (const call of group) expectCall(consumer, call)
        if (!isFed) {
          warm(publisher)
          if (options.reader) feedLines(publisher, options.reader, exchange)
          else feed.pushes(group)
          if (isHolding) await feedHeld(exchanges.slice(index + group.length).find(isCall))
        }
        compared.push(...(await compareCalls(expected)))
        index += group.length - 1
      } else {
        const inside = exchanges.filter((other) => other.during === exchange.n)
        // A redirect is followed within the call that it answers.
        const after = exchanges[exchanges.findLastIndex((other) => other.during === exchange.n) + 1]
        const followed = after && isCall(after) && after.request.method === 'GET' ? [after] : []
        for (const call of [...inside, ...followed]) {
          expectCall(consumer, call)
          if (!options.reader) feed.pull(call.request.body ?? '')
        }
        prepare(publisher, exchange)
        if (options.reader) feedLines(publisher, options.reader, exchange)
        else {
          feed.pull(exchange.response?.body ?? '')
          feed.pull(laterPull(exchanges, index) ?? '')
        }
        if (!isHolding) await publisher.idle()
        const compare = await compareReply(exchange)
        if (!isException(name, exchange.n)) compared.push(compare)
        if (inside.length > 0) compared.push(...(await compareCalls([...inside, ...followed])))
        if (inside.length > 0) index = exchanges.indexOf(followed[0] ?? inside.at(-1) ?? exchange)
      }
    }
    compared.push(...(await compareCalls([])))
    return compared

    /** A stuck sidecar holds the last event of the burst to arrive, which on 4.18 was not the last sent. */
    async function feedHeld(held: Exchange | undefined) {
      if (options.swapsHeld) await publisher.faults({ reorder: 1 })
      feed.pushes(held ? [held] : [])
    }

    async function compareReply({ n, request, response }: Exchange): Promise<Compared> {
      const isTransport = request.headers.Host?.endsWith(':9044')
      const reply = await send((isTransport ? publisher.transport : undefined) ?? origin(publisher), {
        method: request.method,
        path: labels.translate(request.target),
        headers: request.headers,
        body: request.body === null ? null : labels.translate(toReal(request.body, ports())),
      })
      const body = reply && toRecorded(reply.body, ports())
      if (response?.body && body) pairIds(response, reply.status, body)
      return {
        n,
        covers: 1,
        recorded: response && {
          status: response.status,
          headers: pick(response.headers),
          length: lengthOf(response.headers['Content-Length'], response.status),
          body: normalBody(labels.recorded(response.body ?? '')),
        },
        actual:
          (reply && {
            status: reply.status,
            headers: pick(reply.headers),
            length: lengthOf(reply.headers['content-length'], reply.status),
            body: normalBody(labels.actual(body ?? '')),
          }) ??
          null,
      }
    }

    /** Only what names one new object introduces ids: pairing lists would pair in random order. */
    function pairIds(response: NonNullable<Exchange['response']>, status: number, body: string) {
      if (response.status === 201 && status === 201) labels.pair(response.body ?? '', body)
      const isPublishers = response.body?.includes('/publishers/') && response.body.startsWith('[')
      if (isPublishers) labels.pair(inOrder(response.body ?? ''), inOrder(body))
    }

    async function compareCalls(expected: readonly Exchange[]): Promise<readonly Compared[]> {
      await (isHolding ? consumer.received(expected.length) : publisher.idle())
      // Slow answers outlast the publisher's patience.
      const slowest = Math.max(0, ...expected.map(({ ms }) => ms)) * timeScale
      if (slowest > 50) await sleep(slowest)
      const real = ports()
      const actual = consumer.take().map((call) => shape(normalCall(call, real), labels.actual))
      const recorded = expected.map((call) => shape(recordedCall(call), labels.recorded))
      const byText = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
      const n = expected[0]?.n ?? 0
      return expected.length === 0 && actual.length === 0
        ? []
        : [{ n, covers: expected.length, recorded: recorded.sort(byText), actual: actual.sort(byText) }]
    }
  } finally {
    await consumer.close()
  }
}

/**
 * Calls in a row outside any request that one feeding caused. Another event whose note tells of another
 * doing of the operator begins a new group.
 */
function groupAt(exchanges: readonly Exchange[], start: number): readonly Exchange[] {
  const group: Exchange[] = []
  for (const exchange of exchanges.slice(start)) {
    if (!isCall(exchange)) break
    const isOperated = /fed|refuse|counter|takes|answer/.test(exchange.note ?? '')
    const isSameDoing = exchange.note === group.at(-1)?.note
    const isSameEvent = group.some((other) => idOf(other) === idOf(exchange))
    if (group.length > 0 && isOperated && !isSameDoing && !isSameEvent) break
    group.push(exchange)
  }
  return group
}

const idOf = ({ request }: Exchange) => /"id":"([^"]+)"/.exec(request.body ?? '')?.[1]

function expectCall(consumer: Consumer, { request, response, ms }: Exchange) {
  if (!response) return
  const { Location: location } = response.headers
  consumer.expect(portOf(request.headers.Host), request.target, {
    status: response.status,
    location: location && toReal(location, [...consumer.ports()]),
    afterMs: ms >= 900 ? ms * timeScale : 0,
  })
}

/** Ends the warm-up where the recording shows that it was over. */
function prepare(publisher: Publisher, { request, response }: Exchange) {
  const isCreate = request.method === 'POST' && request.target.endsWith('/v2/subscriptions')
  const isList = request.target.endsWith('/v2/publishers')
  const isState = request.target.endsWith('/CurrentState')
  const body = response?.body ?? ''
  if (isCreate && response?.status === 201) warm(publisher)
  if (isList && body !== '') warm(publisher)
  if (isState && (response?.status === 200 || body.includes('event data not found'))) warm(publisher)
}

/** The note of the first exchange after a feeding holds the lines that were fed. */
function feedLines(publisher: Publisher, reader: LogReader, { note = '' }: Exchange) {
  if (note.startsWith('hold-over time')) publisher.setClock(...reader.endHoldover())
  const lines = /^(?:after log line\(s\)|burst \d): (.*)$/.exec(note)?.[1]?.split(' | ') ?? []
  for (const line of lines) publisher.setClock(...reader.read(line))
}

function warm(publisher: Publisher) {
  if (!publisher.describe().ready) publisher.becomeReady()
}

/** What happened before a v1 create shows only in the next pull of that resource, unless it is pushed. */
function laterPull(exchanges: readonly Exchange[], index: number): string | undefined {
  const { request, dir } = exchanges[index] ?? {}
  if (dir !== 'consumer->sidecar' || request?.method !== 'POST') return undefined
  const resource = /"resource":"([^"]+)"/.exec(request.body ?? '')?.[1]
  const rest = exchanges.slice(index + 1, index + 4)
  const pushed = rest.findIndex((exchange) => isCall(exchange) && exchange.during === undefined)
  const next = rest
    .slice(0, pushed < 0 ? rest.length : pushed)
    .find(
      (exchange) => resource !== undefined && exchange.request.target.endsWith(`${resource}/CurrentState`),
    )
  return next?.response?.status === 200 ? (next.response.body ?? undefined) : undefined
}

type Ports = readonly (readonly [number, number])[]

function publisherPorts(publisher: Publisher): Ports {
  const recorded = publisher.dialect === 'red-hat-v1' ? 8089 : 9043
  return [[recorded, Number(new URL(publisher.url).port)]]
}

function toReal(text: string, ports: Ports): string {
  return ports.reduce((done, [recorded, real]) => done.replaceAll(`:${recorded}`, `:${real}`), text)
}

function toRecorded(text: string, ports: Ports): string {
  return ports.reduce((done, [recorded, real]) => done.replaceAll(`:${real}`, `:${recorded}`), text)
}

const origin = (publisher: Publisher) => publisher.url

const portOf = (host: string | undefined) => Number(host?.split(':')[1])

function recordedCall({ request }: Exchange) {
  return {
    endpoint: `${request.method} ${portOf(request.headers.Host)}${request.target}`,
    headers: Object.keys(request.headers),
    body: request.body ?? '',
  }
}

function normalCall(call: ReceivedCall, ports: Ports) {
  return {
    endpoint: `${call.method} ${call.recordedPort}${call.target}`,
    headers: call.headerNames.filter((name) => name !== 'Connection'),
    body: toRecorded(call.body, ports),
  }
}

function shape(call: ReturnType<typeof recordedCall>, label: (text: string) => string) {
  return { ...call, body: normalBody(label(call.body)) }
}

function pick(headers: NodeJS.Dict<string | string[]>) {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return headersThatMatter.map((name) => lower.get(name.toLowerCase()) ?? null)
}

/** Zero, some or (204 and chunked bodies) no length: the number itself changes with the ports. */
function lengthOf(length: string | string[] | undefined, status: number) {
  if (length === undefined) return status === 204 ? 'none' : 'some'
  return length === '0' ? 'zero' : 'some'
}

function inOrder(list: string): string {
  const items: unknown = JSON.parse(list)
  if (!Array.isArray(items)) return list
  return items
    .map((item) => JSON.stringify(item))
    .sort()
    .join('\n')
}

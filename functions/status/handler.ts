import pLimit from 'p-limit'
import {
  checkQuery,
  errorReply,
  HttpError,
  type HttpFunction,
  type HttpRequest,
  jsonReply,
  methodNotAllowed,
  notFound,
  pathSegments,
  type Reply,
} from '#shared/runtime/reply.ts'
import { logCsv } from '#shared/state/log-csv.ts'
import type { NodeState } from '#shared/state/document.ts'
import { entriesSince, entriesWithin, timeIn } from '#shared/state/history.ts'
import { type Span, timelineOf } from '#shared/state/timeline.ts'
import { viewOf } from '#shared/state/view.ts'
import type { Assets } from './assets.ts'
import { compressed } from './compress.ts'
import type { Fleet } from './fleet.ts'
import type { Gate } from './gate.ts'
import { type Deps, withLog } from './nodes.ts'
import { openApi } from './openapi.ts'
import { rowOf } from './row.ts'
import { createStream } from './stream.ts'
import { fromToken, toToken } from './token.ts'
import { matches, placeOf, readWanted, WANTED, type Wanted } from './wanted.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 500
const MAX_LOG = 1_000
/** Nodes read from the store in one go, and how many such reads are under way at once. */
const CHUNK = 20
const READS_AT_ONCE = 4

/** Some nodes of a page, as text. */
type Chunk = { readonly texts: readonly string[]; readonly next: string | undefined }

export type HandlerDeps = Deps & {
  readonly fleet: Fleet
  readonly assets: Assets
  /** Absent, everybody who reaches us may ask. */
  readonly gate?: Gate | undefined
}

/** The page and the API behind it; what each path answers is in `openapi.ts`. HEAD is answered like GET. */
export function createStatusHandler(deps: HandlerDeps): HttpFunction {
  const { fleet, assets, store, clock, settings } = deps
  const reading = pLimit(READS_AT_ONCE)
  /** Nodes as text: many clients that read slowly hold texts, and the documents of a few reads alone are in memory. */
  const read = (limit: number, from: string | undefined): Promise<Chunk> =>
    reading(async () => {
      const { nodes, next } = await store.list({ limit: Math.min(limit, CHUNK), from })
      const now = clock.now()
      const texts = nodes.map(({ state }) => JSON.stringify(viewOf(state, now, settings)))
      return { texts, next }
    })

  /** A page is read and sent a few nodes at a time: many that are asked for at once, or slowly, cost little memory. */
  async function* pageFrom(first: Chunk, limit: number): AsyncGenerator<string> {
    let chunk = first
    let left = limit
    let separator = '{"nodes":['
    for (;;) {
      for (const text of chunk.texts) {
        yield separator + text
        separator = ','
      }
      left -= chunk.texts.length
      if (chunk.next === undefined || left <= 0) break
      chunk = await read(left, chunk.next)
    }
    yield endOf(separator, chunk.next)
  }

  /** Nodes that were selected, each read when its turn comes; one that is gone since is left out. */
  async function* selected(nodes: readonly string[], next: string | undefined): AsyncGenerator<string> {
    let separator = '{"nodes":['
    for (let i = 0; i < nodes.length; i += CHUNK) {
      const states = await reading(() =>
        Promise.all(nodes.slice(i, i + CHUNK).map((node) => store.read(node))),
      )
      for (const state of states) {
        if (state === undefined) continue
        yield separator + JSON.stringify(viewOf(state, clock.now(), settings))
        separator = ','
      }
    }
    yield endOf(separator, next)
  }

  const list = async (query: URLSearchParams): Promise<Reply> => {
    const limit = numberOf(query, 'limit', DEFAULT_LIMIT, MAX_LIMIT)
    const from = fromOf(query)
    const headers = { 'content-type': 'application/json' }
    if (!WANTED.some((name) => query.has(name))) {
      // Before there is a reply: a store that is away is a 503.
      return { status: 200, headers, stream: pageFrom(await read(limit, from), limit) }
    }
    const wanted = readWanted(query)
    const places = (await rowsOf(wanted))
      .map((row) => ({ place: placeOf(row, wanted.sort), node: row.node }))
      .filter(({ place }) => from === undefined || place >= from)
      .sort((a, b) => (a.place < b.place ? -1 : 1))
    const nodes = places.slice(0, limit).map(({ node }) => node)
    return { status: 200, headers, stream: selected(nodes, places[limit]?.place) }
  }

  const rowsOf = async (wanted: Wanted) =>
    [...(await fleet.current()).values()].flatMap(({ row }) => (matches(row, wanted) ? row : []))

  const summary = async (wanted: Wanted): Promise<Reply> => {
    const rows = await rowsOf(wanted)
    const count = (overall: string) => rows.filter((row) => row.overall === overall).length
    const flagged = (flag: (typeof rows)[number]['flags'][number]) =>
      rows.filter(({ flags }) => flags.includes(flag)).length
    return jsonReply(200, {
      ...fleet.picture(),
      nodes: rows.length,
      overall: {
        FREERUN: count('FREERUN'),
        HOLDOVER: count('HOLDOVER'),
        UNKNOWN: count('UNKNOWN'),
        LOCKED: count('LOCKED'),
      },
      blind: flagged('blind'),
      suspect: flagged('suspect'),
      stale: flagged('stale'),
      unreachable: flagged('unreachable'),
      gone: flagged('gone'),
    })
  }

  const fleetNow = async (wanted: Wanted): Promise<Reply> =>
    jsonReply(200, { type: 'snapshot', ...fleet.picture(), rows: await rowsOf(wanted) })

  /** One node as the stream sends it, without the picture. */
  const nodeMessage = async (node: string): Promise<string> => {
    const state = await store.read(node)
    if (state === undefined) return '{"view":null,"row":null}'
    const view = viewOf(state, clock.now(), settings)
    return JSON.stringify({ view, row: rowOf(view) })
  }

  const nodeNow = async (node: string): Promise<Reply> =>
    jsonReply(200, { type: 'node', ...fleet.picture(), ...JSON.parse(await nodeMessage(node)) })

  const known = async (node: string): Promise<NodeState> => {
    const state = await store.read(node)
    if (state !== undefined) return state
    throw new HttpError(404, 'not-found', 'The store has no node of this name')
  }

  const timeline = async (node: string, query: URLSearchParams) => {
    const now = clock.now()
    const span = readSpan(query, now)
    const state = await known(node)
    const entries = await entriesSince(store, node, state.seq, span.from)
    return timelineOf(viewOf(state, now, settings), entries, span, now)
  }

  const log = async (node: string, query: URLSearchParams): Promise<Reply> => {
    const span = readSpan(query, clock.now())
    const format = oneOf(query, 'format', ['json', 'csv'])
    const order = oneOf(query, 'order', ['oldest', 'newest'])
    const limit = query.has('limit') ? numberOf(query, 'limit', MAX_LOG, MAX_LOG) : undefined
    if (order === 'newest' && limit === undefined) {
      throw new HttpError(400, 'order', 'order=newest needs a limit')
    }
    const { seq } = await known(node)
    const pages = entriesWithin(store, node, seq, span)
    if (format === 'csv') {
      return {
        status: 200,
        headers: {
          'content-type': 'text/csv; charset=utf-8',
          'content-disposition': 'attachment; filename="ptp-watch-log.csv"',
        },
        stream: logCsv(node, pages),
      }
    }
    if (order === 'newest') {
      let newest: unknown[] = []
      for await (const page of pages) newest = [...newest, ...page].slice(-(limit ?? MAX_LOG))
      return jsonReply(200, { node, log: newest.reverse() })
    }
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      stream: logJson(node, pages, limit),
    }
  }

  const stream = createStream(fleet, nodeMessage)

  const ofNode = (node: string, part: string | undefined, query: URLSearchParams) => {
    switch (part) {
      case undefined:
        checkQuery(query)
        return known(node).then(async (state) => jsonReply(200, await withLog(deps, state)))
      case 'log':
        checkQuery(query, ['from', 'to', 'format', 'order', 'limit'])
        return log(node, query)
      case 'timeline':
        checkQuery(query, ['from', 'to'])
        return timeline(node, query).then((found) => jsonReply(200, found))
      case 'availability':
        checkQuery(query, ['from', 'to'])
        return timeline(node, query).then(({ lanes: _, ...numbers }) => jsonReply(200, numbers))
      default:
        return notFound()
    }
  }

  const api = (segments: readonly string[], query: URLSearchParams, request: HttpRequest) => {
    const [what, node, part, ...rest] = segments
    if (rest.length > 0 || (what !== 'nodes' && node !== undefined)) return notFound()
    const wanted = (more: readonly string[] = []) => {
      checkQuery(query, [...WANTED, ...more], ['label'])
      return readWanted(query)
    }
    switch (what) {
      case 'nodes':
        if (node === '') return notFound()
        if (node !== undefined) return ofNode(node, part, query)
        wanted(['limit', 'continue'])
        return list(query)
      case 'summary':
        return summary(wanted())
      case 'fleet': {
        const selection = wanted(['node'])
        const one = query.get('node')
        return one === null ? fleetNow(selection) : nodeNow(one)
      }
      case 'stream':
        return stream(request, wanted(['node']), query.get('node') ?? undefined)
      case 'openapi.json':
        checkQuery(query)
        return jsonReply(200, openApi())
      default:
        return notFound()
    }
  }

  const route = (request: HttpRequest): Promise<Reply> | Reply => {
    const segments = pathSegments(request.path)
    if (segments === undefined) return errorReply(400, 'path', 'The path is not properly encoded')
    const [first, second, ...rest] = segments
    const isPage =
      first === undefined || (first === 'nodes' && second !== undefined && second !== '' && rest.length === 0)
    const file =
      second !== undefined && rest.length === 0 && first !== undefined
        ? assets.file(first, second)
        : undefined
    if (first !== 'api' && !isPage && file === undefined) return notFound()
    if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(['GET', 'HEAD'])
    if (isPage) return assets.page()
    if (file !== undefined) return file
    return api(segments.slice(1), new URLSearchParams(request.query), request)
  }

  return async (request) => (await deps.gate?.(request)) ?? compressed(await route(request), request)
}

function endOf(separator: string, next: string | undefined): string {
  const token = next === undefined ? null : toToken(next)
  return `${separator === ',' ? '' : separator}],"continue":${JSON.stringify(token)}}\n`
}

async function* logJson(
  node: string,
  pages: AsyncIterable<readonly unknown[]>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<string> {
  let separator = `{"node":${JSON.stringify(node)},"log":[`
  let left = limit
  for await (const page of pages) {
    for (const entry of page) {
      if (left-- <= 0) break
      yield separator + JSON.stringify(entry)
      separator = ','
    }
    if (left <= 0) break
  }
  yield `${separator === ',' ? '' : separator}]}\n`
}

function numberOf(query: URLSearchParams, name: string, fallback: number, most: number): number {
  const text = query.get(name)
  if (text === null) return fallback
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number
  throw new HttpError(400, name, `${name} must be a whole number from 1 to ${most}`)
}

/** The first where none is given. */
function oneOf<T extends string>(query: URLSearchParams, name: string, allowed: readonly [T, ...T[]]): T {
  const text = query.get(name)
  if (text === null) return allowed[0]
  const found = allowed.find((each) => each === text)
  if (found !== undefined) return found
  throw new HttpError(400, name, `${name} must be one of ${allowed.join(', ')}`)
}

function fromOf(query: URLSearchParams): string | undefined {
  const token = query.get('continue')
  if (token === null) return undefined
  const from = fromToken(token)
  if (from !== undefined) return from
  throw new HttpError(400, 'continue', 'continue must be a value that the page before gave')
}

/**
 * `from` and `to`: RFC 3339, by default the last 24 h.
 * @throws HttpError 400 for what is no time, or ends before it begins.
 */
function readSpan(query: URLSearchParams, now: number): Span {
  const timeOf = (name: string) => {
    const text = query.get(name)
    if (text === null) return undefined
    const time = timeIn(text)
    if (!Number.isNaN(time)) return time
    throw new HttpError(400, name, `${name} must be a time such as 2026-11-28T03:00:00Z`)
  }
  const to = timeOf('to') ?? now
  const from = timeOf('from') ?? to - 86_400_000
  if (from < to) return { from, to }
  throw new HttpError(400, 'from', 'from must be earlier than to')
}

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
import type { LogEntry, NodeState } from '#shared/state/document.ts'
import { entriesSince, entriesWithin } from '#shared/state/history.ts'
import { timelineOf } from '#shared/state/timeline.ts'
import type { Assets } from './assets.ts'
import { compressed } from './compress.ts'
import type { Fleet } from './fleet.ts'
import type { Gate } from './gate.ts'
import { type Deps, readShown, withLog } from './nodes.ts'
import { openApi } from './openapi.ts'
import {
  choiceOf,
  FILTERING,
  fromOf,
  listOf,
  nodeOf,
  numberOf,
  SELECTING,
  selectionOf,
  spanOf,
} from './query.ts'
import { rowOf } from './row.ts'
import { isNamed, isShown, placeOf, type Selection } from './select.ts'
import { shownOf } from './shown.ts'
import { createStream } from './stream.ts'
import { type Position, toToken } from './token.ts'

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
      const texts = nodes.map(({ state }) => JSON.stringify(shownOf(state, now, settings)))
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
    yield endOf(separator, chunk.next === undefined ? undefined : { list: '', at: chunk.next })
  }

  const readAll = (nodes: readonly string[]) =>
    reading(() => Promise.all(nodes.map((node) => readShown(store, node))))

  /**
   * Nodes that were selected, each read when its turn comes; one that is gone since is left out. `first`: those of the
   * first chunk.
   */
  async function* selected(
    first: readonly (NodeState | undefined)[],
    nodes: readonly string[],
    next: Position | undefined,
  ): AsyncGenerator<string> {
    let separator = '{"nodes":['
    for (let i = 0; i < nodes.length; i += CHUNK) {
      for (const state of i === 0 ? first : await readAll(nodes.slice(i, i + CHUNK))) {
        if (state === undefined) continue
        yield separator + JSON.stringify(shownOf(state, clock.now(), settings))
        separator = ','
      }
    }
    yield endOf(separator, next)
  }

  const list = async (query: URLSearchParams): Promise<Reply> => {
    const limit = numberOf(query, 'limit', DEFAULT_LIMIT, MAX_LIMIT)
    const list = listOf(query)
    const from = fromOf(query, list)
    const headers = { 'content-type': 'application/json' }
    if (list === '') {
      // Before there is a reply: a store that is away is a 503.
      return { status: 200, headers, stream: pageFrom(await read(limit, from), limit) }
    }
    const selection = selectionOf(query)
    const places = (await rowsOf(selection))
      .map((row) => ({ place: placeOf(row, selection.sort), node: row.node }))
      .filter(({ place }) => from === undefined || place >= from)
      .sort((a, b) => (a.place < b.place ? -1 : 1))
    const nodes = places.slice(0, limit).map(({ node }) => node)
    const at = places[limit]?.place
    const next = at === undefined ? undefined : { list, at }
    // Before there is a reply, as above.
    const first = await readAll(nodes.slice(0, CHUNK))
    return { status: 200, headers, stream: selected(first, nodes, next) }
  }

  const rowsOf = async (selection: Selection) =>
    [...(await fleet.current()).values()].flatMap(({ row }) =>
      isNamed(row, selection) && isShown(row, selection) ? row : [],
    )

  const summary = async (selection: Selection): Promise<Reply> => {
    const rows = await rowsOf(selection)
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

  const fleetNow = async (selection: Selection): Promise<Reply> =>
    jsonReply(200, { type: 'snapshot', ...fleet.picture(), rows: await rowsOf(selection) })

  /** One node as the stream sends it, without the picture; a document that cannot be read is a row without a view. */
  const nodeMessage = async (node: string): Promise<string> => {
    const state = await readShown(store, node)
    if (state === undefined) return '{"view":null,"row":null}'
    const view = shownOf(state, clock.now(), settings)
    return JSON.stringify({ view: state.damaged === undefined ? view : null, row: rowOf(view) })
  }

  const nodeNow = async (node: string): Promise<Reply> => {
    await fleet.current()
    return jsonReply(200, { type: 'node', ...fleet.picture(), ...JSON.parse(await nodeMessage(node)) })
  }

  const known = async (node: string, reading = store.read(node)): Promise<NodeState> => {
    const state = await reading
    if (state !== undefined) return state
    throw new HttpError(404, 'not-found', 'The store has no node of this name')
  }

  const timeline = async (node: string, query: URLSearchParams) => {
    const now = clock.now()
    const span = spanOf(query, now)
    const state = await known(node)
    const entries = await entriesSince(store, node, state.seq, span.from)
    return timelineOf(shownOf(state, now, settings), entries, span, now)
  }

  const log = async (node: string, query: URLSearchParams): Promise<Reply> => {
    const span = spanOf(query, clock.now())
    const format = choiceOf(query, 'format', ['json', 'csv'])
    const order = choiceOf(query, 'order', ['oldest', 'newest'])
    const limit = query.has('limit') ? numberOf(query, 'limit', MAX_LOG, MAX_LOG) : undefined
    if (order === 'newest' && limit === undefined) {
      throw new HttpError(400, 'order', 'order=newest needs a limit')
    }
    const { seq } = await known(node)
    const all = entriesWithin(store, node, seq, span)
    const pages = order === 'newest' ? newestOf(all, limit) : firstOf(all, limit)
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
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      stream: logJson(node, pages),
    }
  }

  const stream = createStream(fleet, nodeMessage)

  const ofNode = (node: string, part: string | undefined, query: URLSearchParams) => {
    switch (part) {
      case undefined:
        checkQuery(query)
        return known(node, readShown(store, node)).then(async (state) =>
          jsonReply(200, await withLog(deps, state)),
        )
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
    const select = (allowed: readonly string[]) => {
      checkQuery(query, allowed, ['label'])
      return selectionOf(query)
    }
    switch (what) {
      case 'nodes':
        if (node === '') return notFound()
        if (node !== undefined) return ofNode(node, part, query)
        select([...SELECTING, 'limit', 'continue'])
        return list(query)
      case 'summary':
        return summary(select(FILTERING))
      case 'fleet': {
        const selection = select([...FILTERING, 'node'])
        const node = nodeOf(query)
        return node === undefined ? fleetNow(selection) : nodeNow(node)
      }
      case 'stream':
        return stream(request, select([...FILTERING, 'node']), nodeOf(query))
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
    const isNodes = first === 'nodes' && rest.length === 0
    // What is left of the address of a node once its name is deleted.
    const isFleet = isNodes && (second === undefined || second === '')
    const isPage = first === undefined || (isNodes && !isFleet)
    const file =
      second !== undefined && rest.length === 0 && first !== undefined
        ? assets.file(first, second)
        : undefined
    if (first !== 'api' && !isPage && !isFleet && file === undefined) return notFound()
    if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(['GET', 'HEAD'])
    if (isFleet) return toFleet(request.query)
    if (isPage) return assets.page()
    if (file !== undefined) return file
    return api(segments.slice(1), new URLSearchParams(request.query), request)
  }

  return async (request) => (await deps.gate?.(request)) ?? compressed(await route(request), request)
}

function toFleet(query: string): Reply {
  return { status: 302, headers: { location: query === '' ? '/' : `/?${query}` } }
}

function endOf(separator: string, next: Position | undefined): string {
  const token = next === undefined ? null : toToken(next)
  return `${separator === ',' ? '' : separator}],"continue":${JSON.stringify(token)}}\n`
}

type Pages = AsyncIterable<readonly LogEntry[]>

/** The first `limit` entries. */
async function* firstOf(pages: Pages, limit = Number.POSITIVE_INFINITY): Pages {
  let left = limit
  for await (const page of pages) {
    yield page.slice(0, left)
    left -= page.length
    if (left <= 0) return
  }
}

/** The last `limit` entries, newest first. */
async function* newestOf(pages: Pages, limit = MAX_LOG): Pages {
  let newest: readonly LogEntry[] = []
  for await (const page of pages) newest = [...newest, ...page].slice(-limit)
  yield newest.toReversed()
}

async function* logJson(node: string, pages: Pages): AsyncGenerator<string> {
  let separator = `{"node":${JSON.stringify(node)},"log":[`
  for await (const page of pages) {
    for (const entry of page) {
      yield separator + JSON.stringify(entry)
      separator = ','
    }
  }
  yield `${separator === ',' ? '' : separator}]}\n`
}

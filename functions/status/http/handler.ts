import { setImmediate as nextTurn } from 'node:timers/promises'
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
import { createTimeline, type Timeline } from '#shared/state/timeline.ts'
import { FLAGS, OVERALL, type Row } from './schemas.ts'
import type { Assets } from './assets.ts'
import { compressed } from './compress.ts'
import type { Fleet } from '../fleet.ts'
import type { Gate } from './gate.ts'
import { openApi, parametersOf } from './openapi.ts'
import { choiceOf, fromOf, limitOf, listOf, nodeOf, selectionOf, spanOf, tokenOf } from './query.ts'
import { isSelected, sortKey, type Selection } from '../select.ts'
import { type Deps, nodeWithLog, readShown, rowOf, shownOf } from '../shown.ts'
import { createStream } from './stream.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 500
const MAX_LOG = 1_000
/** How many spans of a timeline are serialised at once. */
const SPANS = 1_000
/** How many nodes are read from the store at once, and how many such reads run in parallel. */
const CHUNK = 20
const READS_AT_ONCE = 4

type HandlerDeps = Deps & {
  readonly fleet: Fleet
  readonly assets: Assets
  /** Absent: anybody who can reach us may ask. */
  readonly gate?: Gate | undefined
}

/** A request of the API; `node` is empty if its path names none. */
type Asked = { readonly node: string; readonly query: URLSearchParams; readonly request: HttpRequest }

/** The page and its API; `openapi.ts` lists what each path answers. HEAD is answered like GET. */
export function createStatusHandler(deps: HandlerDeps): HttpFunction {
  const { fleet, assets, store, clock, settings } = deps
  const reading = pLimit(READS_AT_ONCE)
  const textOf = (state: NodeState | undefined) =>
    state === undefined ? [] : JSON.stringify(shownOf(state, clock.now(), settings))

  /** All nodes in store order; returns where the next page begins. */
  async function* stored(limit: number, from: string | undefined): Pieces<string | undefined> {
    let left = limit
    let next = from
    do {
      const range = { limit: Math.min(left, CHUNK), from: next }
      const chunk = await reading(async () => {
        const page = await store.list(range)
        return { texts: page.nodes.flatMap(({ state }) => textOf(state)), next: page.next }
      })
      yield chunk.texts
      left -= chunk.texts.length
      next = chunk.next
    } while (next !== undefined && left > 0)
    return next
  }

  /** The same for a selection. Each node is read when its turn comes; nodes removed since are left out. */
  async function* selected(
    selection: Selection,
    limit: number,
    from: string | undefined,
  ): Pieces<string | undefined> {
    const places = (await rowsOf(selection))
      .map((row) => ({ place: sortKey(row, selection.sort), node: row.node }))
      .filter(({ place }) => from === undefined || place >= from)
      .sort((a, b) => (a.place < b.place ? -1 : 1))
    const shown = places.slice(0, limit)
    for (let i = 0; i < shown.length; i += CHUNK) {
      yield await reading(async () => {
        const states = shown.slice(i, i + CHUNK).map(({ node }) => readShown(store, node))
        return (await Promise.all(states)).flatMap(textOf)
      })
    }
    return places[limit]?.place
  }

  const list = async ({ query }: Asked): Promise<Reply> => {
    const limit = limitOf(query, MAX_LIMIT) ?? DEFAULT_LIMIT
    const list = listOf(query)
    const from = fromOf(query, list)
    const pieces = list === '' ? stored(limit, from) : selected(selectionOf(query), limit, from)
    const endOf = (at: string | undefined) => JSON.stringify(at === undefined ? null : tokenOf(list, at))
    return jsonStream('{"nodes":[', pieces, (at) => `],"continue":${endOf(at)}}\n`)
  }

  const rowsOf = async (selection: Selection): Promise<Row[]> =>
    [...(await fleet.current()).values()].flatMap(({ row }) => (isSelected(row, selection) ? row : []))

  const summary = async ({ query }: Asked): Promise<Reply> => {
    const rows = await rowsOf(selectionOf(query))
    const count = <T extends string>(words: readonly T[], has: (row: Row, word: T) => boolean) =>
      Object.fromEntries(words.map((word) => [word, rows.filter((row) => has(row, word)).length]))
    return jsonReply(200, {
      ...fleet.picture(),
      nodes: rows.length,
      overall: count(OVERALL, ({ overall }, word) => overall === word),
      ...count(FLAGS, ({ flags }, flag) => flags.includes(flag)),
    })
  }

  /** One node as the stream sends it, without the picture; an unreadable document gives a row without a view. */
  const nodeNow = async (node: string) => {
    const state = await readShown(store, node)
    if (state === undefined) return { view: null, row: null }
    const view = shownOf(state, clock.now(), settings)
    return { view: state.damaged === undefined ? view : null, row: rowOf(view) }
  }

  const fleetNow = async ({ query }: Asked): Promise<Reply> => {
    const selection = selectionOf(query)
    const node = nodeOf(query)
    const rows = await rowsOf(selection)
    const found = node === undefined ? { type: 'snapshot', rows } : { type: 'node', ...(await nodeNow(node)) }
    return jsonReply(200, { ...fleet.picture(), ...found })
  }

  const known = async <T>(asked: Promise<T | undefined>): Promise<T> => {
    const found = await asked
    if (found !== undefined) return found
    throw new HttpError(404, 'not-found', 'The store has no node of this name')
  }

  const timeline = async ({ node, query }: Asked) => {
    const now = clock.now()
    const span = spanOf(query, now)
    const state = await known(store.read(node))
    const found = createTimeline(shownOf(state, now, settings), span, now)
    for await (const page of entriesSince(store, node, state.seq, span.from)) found.add(page)
    return found.end()
  }

  const log = async ({ node, query }: Asked): Promise<Reply> => {
    const span = spanOf(query, clock.now())
    const format = choiceOf(query, 'format', ['json', 'csv'])
    const order = choiceOf(query, 'order', ['oldest', 'newest'])
    const limit = limitOf(query, MAX_LOG)
    if (order === 'newest' && limit === undefined) {
      throw new HttpError(400, 'order', 'order=newest needs a limit')
    }
    const { seq } = await known(store.read(node))
    const all = entriesWithin(store, node, seq, span)
    const pages = order === 'newest' ? newestOf(all, limit) : firstOf(all, limit)
    if (format === 'json') {
      return jsonStream(`{"node":${JSON.stringify(node)},"log":[`, asTexts(pages), () => ']}\n')
    }
    const headers = {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="ptp-watch-log.csv"',
    }
    return { status: 200, headers, stream: logCsv(node, pages) }
  }

  const stream = createStream(fleet, nodeNow)

  const answers = new Map<string, (asked: Asked) => Promise<Reply> | Reply>([
    ['nodes', list],
    ['nodes/{node}', async ({ node }) => jsonReply(200, await known(nodeWithLog(deps, node)))],
    ['nodes/{node}/log', log],
    ['nodes/{node}/timeline', async (asked) => streamed(timelineJson(await timeline(asked)))],
    [
      'nodes/{node}/availability',
      async (asked) => jsonReply(200, { ...(await timeline(asked)), lanes: undefined }),
    ],
    ['summary', summary],
    ['fleet', fleetNow],
    ['stream', ({ query, request }) => stream(request, selectionOf(query), nodeOf(query))],
    ['openapi.json', () => jsonReply(200, openApi())],
  ])

  const api = ([what = '', node, ...part]: readonly string[], request: HttpRequest) => {
    const path = node === undefined ? what : [what, '{node}', ...part].join('/')
    const answer = answers.get(path)
    if (answer === undefined || node === '') return notFound()
    const query = new URLSearchParams(request.query)
    checkQuery(query, parametersOf(path), ['label'])
    return answer({ node: node ?? '', query, request })
  }

  const route = (request: HttpRequest): Promise<Reply> | Reply => {
    const segments = pathSegments(request.path)
    if (segments === undefined) return errorReply(400, 'path', 'The path is not properly encoded')
    const [first, second = '', ...rest] = segments
    const isNodes = first === 'nodes' && rest.length === 0
    // `/nodes/` without a name shows the fleet.
    const isFleet = isNodes && second === ''
    const isPage = first === undefined || (isNodes && !isFleet)
    const file = first !== undefined && rest.length === 0 ? assets.file(first, second) : undefined
    if (first !== 'api' && !isPage && !isFleet && file === undefined) return notFound()
    if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(['GET', 'HEAD'])
    const { query } = request
    if (isFleet) return { status: 302, headers: { location: query === '' ? '/' : `/?${query}` } }
    if (isPage) return assets.page()
    if (file !== undefined) return file
    return api(segments.slice(1), request)
  }

  return async (request) => (await deps.gate?.(request)) ?? compressed(await route(request), request)
}

/** Parts of a JSON array, each sent at once. */
type Pieces<R> = AsyncGenerator<readonly string[], R>

/**
 * Sends an array a few elements at a time, so that many large or slow requests take little memory. The first part is
 * read before the reply begins: a store that is down is a 503.
 */
async function jsonStream<R>(head: string, pieces: Pieces<R>, tailOf: (result: R) => string): Promise<Reply> {
  let piece = await pieces.next()
  async function* stream() {
    let separator = head
    for (; !piece.done; piece = await pieces.next()) {
      for (const text of piece.value) {
        yield separator + text
        separator = ','
      }
    }
    yield (separator === ',' ? '' : head) + tailOf(piece.value)
  }
  return streamed(stream())
}

function streamed(json: AsyncGenerator<string>): Reply {
  return { status: 200, headers: { 'content-type': 'application/json' }, stream: json }
}

type Pages = AsyncIterable<readonly LogEntry[]>

async function* asTexts(pages: Pages): Pieces<void> {
  for await (const page of pages) yield page.map((entry) => JSON.stringify(entry))
}

/** A few spans per turn of the event loop: a flapping node has many. */
async function* timelineJson({ lanes, ...numbers }: Timeline): AsyncGenerator<string> {
  yield `${JSON.stringify(numbers).slice(0, -1)},"lanes":[`
  for (const [i, { spans, ...lane }] of lanes.entries()) {
    yield `${i === 0 ? '' : ','}${JSON.stringify(lane).slice(0, -1)},"spans":[`
    for (let from = 0; from < spans.length; from += SPANS) {
      await nextTurn()
      yield (from === 0 ? '' : ',') + JSON.stringify(spans.slice(from, from + SPANS)).slice(1, -1)
    }
    yield ']}'
  }
  yield ']}\n'
}

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

import pLimit from 'p-limit'
import {
  checkQuery,
  errorReply,
  HttpError,
  type HttpFunction,
  jsonReply,
  methodNotAllowed,
  notFound,
  pathSegments,
  type Reply,
} from '#shared/runtime/reply.ts'
import type { Page } from '#shared/state/store/store.ts'
import { viewOf } from '#shared/state/view.ts'
import { type Deps, withLog } from './nodes.ts'
import { fromToken, toToken } from './token.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 500
/** Nodes read from the store in one go, and how many such reads are under way at once. */
const CHUNK = 100
const READS_AT_ONCE = 4

/** `GET /api/nodes` and `GET /api/nodes/<node>`, for programs and for screens. HEAD is answered alike. */
export function createStatusHandler(deps: Deps): HttpFunction {
  const reading = pLimit(READS_AT_ONCE)
  const read = (limit: number, from: string | undefined) =>
    reading(() => deps.store.list({ limit: Math.min(limit, CHUNK), from }))

  /** A page is read and sent a few nodes at a time: many that are asked for at once, or slowly, cost little memory. */
  async function* pageFrom(first: Page, limit: number): AsyncGenerator<string> {
    let chunk = first
    let left = limit
    let separator = '{"nodes":['
    for (;;) {
      const now = deps.clock.now()
      for (const { state } of chunk.nodes) {
        yield separator + JSON.stringify(viewOf(state, now, deps.settings))
        separator = ','
      }
      left -= chunk.nodes.length
      if (chunk.next === undefined || left <= 0) break
      chunk = await read(left, chunk.next)
    }
    const next = chunk.next === undefined ? null : toToken(chunk.next)
    yield `${separator === ',' ? '' : separator}],"continue":${JSON.stringify(next)}}\n`
  }

  const list = async (query: URLSearchParams): Promise<Reply> => {
    const limit = limitOf(query)
    // Before there is a reply: a store that is away is a 503.
    const first = await read(limit, fromOf(query))
    return { status: 200, headers: { 'content-type': 'application/json' }, stream: pageFrom(first, limit) }
  }

  const one = async (node: string) => {
    const state = await deps.store.read(node)
    return state === undefined
      ? notFound('Nothing is known of this node')
      : jsonReply(200, await withLog(deps, state))
  }

  return (request) => {
    const segments = pathSegments(request.path)
    if (segments === undefined) return errorReply(400, 'path', 'The path is not properly encoded')
    const [api, nodes, node, ...rest] = segments
    if (api !== 'api' || nodes !== 'nodes' || node === '' || rest.length > 0) return notFound()
    if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(['GET', 'HEAD'])
    const query = new URLSearchParams(request.query)
    checkQuery(query, node === undefined ? ['limit', 'continue'] : [])
    return node === undefined ? list(query) : one(node)
  }
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit')
  if (text === null) return DEFAULT_LIMIT
  const limit = Number(text)
  if (/^\d+$/.test(text) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new HttpError(400, 'limit', `limit must be a whole number from 1 to ${MAX_LIMIT}`)
}

function fromOf(query: URLSearchParams): string | undefined {
  const token = query.get('continue')
  if (token === null) return undefined
  const from = fromToken(token)
  if (from !== undefined) return from
  throw new HttpError(400, 'continue', 'continue must be a value that the page before gave')
}

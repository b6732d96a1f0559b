import {
  errorReply,
  HttpError,
  type HttpFunction,
  jsonReply,
  methodNotAllowed,
  notFound,
  pathSegments,
} from '#shared/runtime/http.ts'
import { viewOf } from '#shared/state/view.ts'
import { type Deps, withLog } from './nodes.ts'
import { fromToken, toToken } from './token.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 500

/** `GET /api/nodes` and `GET /api/nodes/<node>`, for programs and for screens. HEAD is answered alike. */
export function createStatusHandler(deps: Deps): HttpFunction {
  const list = async (query: URLSearchParams) => {
    const page = await deps.store.list({ limit: limitOf(query), from: fromOf(query) })
    const now = deps.clock.now()
    return jsonReply(200, {
      nodes: page.nodes.map(({ state }) => viewOf(state, now, deps.settings)),
      continue: page.next === undefined ? null : toToken(page.next),
    })
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
    checkNames(query, node === undefined ? ['limit', 'continue'] : [])
    return node === undefined ? list(query) : one(node)
  }
}

/** A filter that is misspelt and ignored would show the wrong fleet. */
function checkNames(query: URLSearchParams, allowed: readonly string[]): void {
  for (const name of new Set(query.keys())) {
    const problem = !allowed.includes(name)
      ? `there is no query parameter ${JSON.stringify(name.slice(0, 40))} here; there ${allowed.length === 0 ? 'is none' : `are ${allowed.join(', ')}`}`
      : query.getAll(name).length > 1
        ? `${name} may be given once`
        : undefined
    if (problem !== undefined) throw new HttpError(400, 'query', problem)
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

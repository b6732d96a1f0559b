import type { Handler, SimReply, SimRequest } from './server.ts'

export interface Route {
  readonly method: string
  readonly path: RegExp
  readonly handle: (request: SimRequest, match: RegExpExecArray) => Promise<SimReply> | SimReply
}

export const json = (status: number, body: unknown): SimReply => ({
  status,
  headers: { 'Content-Type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

export const empty = (status: number): SimReply => ({ status })

export const plain = (status: number, body: string): SimReply => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8' },
  body,
})

export const notFound: SimReply = {
  status: 404,
  headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
  body: '404 page not found\n',
}

/**
 * Dispatches as the mux of Red Hat's servers: 301 to the cleaned path whatever the method, 405 with an
 * empty body for a known path, 404 with Go's page otherwise (protocol.md §3.3).
 */
export function createMux(routes: readonly Route[], dumpPath: string): Handler {
  return (request) => {
    const clean = cleanPath(request.path)
    if (clean !== request.path) {
      const query = request.target.includes('?') ? request.target.slice(request.target.indexOf('?')) : ''
      return { status: 301, headers: { Location: encodeURI(clean) + query } }
    }
    if (request.path === dumpPath) return plain(200, dump(request))
    let isKnown = false
    for (const route of routes) {
      const match = route.path.exec(request.path)
      if (!match) continue
      if (route.method === request.method) return route.handle(request, match)
      isKnown = true
    }
    return isKnown ? empty(405) : notFound
  }
}

function cleanPath(path: string): string {
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') kept.pop()
    else if (part !== '' && part !== '.') kept.push(part)
  }
  const clean = `/${kept.join('/')}`
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean
}

/** A leftover of debugging in the real servers: the printed Go request. */
function dump({ method, path, headers }: SimRequest): string {
  const accept = headers.accept ? `Accept:[${headers.accept}]` : ''
  return `&{${method} ${path} HTTP/1.1 1 1 map[${accept}] {} <nil> 0 [] false ${headers.host} map[] map[] <nil> map[] 127.0.0.1:0 ${path} <nil> <nil> <nil>  0xc000000000 <nil> [] map[]}\n`
}

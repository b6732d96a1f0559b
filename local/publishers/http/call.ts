import { Agent, request as httpRequest } from 'node:http'

/** How a call to a consumer's endpoint ended. `error` reads as Go's client words it. */
export type CallOutcome =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'refused' | 'timeout' | 'broken'; readonly error: string }

export interface Caller {
  /** POSTs JSON (or nothing) and follows redirects as Go's default client does: 301 to 303 as GET. */
  post(url: string, body: string | null, timeoutMs: number): Promise<CallOutcome>
  close(): void
}

/** The HTTP client of a publisher: kept-alive connections, Go's headers in Go's order. */
export function createCaller(): Caller {
  const agent = new Agent({ keepAlive: true })
  return {
    post: (url, body, timeoutMs) => call(agent, { url, body, method: 'POST' }, timeoutMs),
    close: () => agent.destroy(),
  }
}

interface Call {
  readonly url: string
  readonly method: string
  readonly body: string | null
  readonly referer?: string
}

async function call(agent: Agent, first: Call, timeoutMs: number): Promise<CallOutcome> {
  const deadline = Date.now() + timeoutMs
  let next = first
  for (let hops = 0; hops < 10; hops += 1) {
    const outcome = await once(agent, next, Math.max(1, deadline - Date.now()))
    if (outcome.kind !== 'redirect') return outcome
    const isReplayed = outcome.status === 307 || outcome.status === 308
    next = {
      url: new URL(outcome.location, next.url).href,
      method: isReplayed ? next.method : 'GET',
      body: isReplayed ? next.body : null,
      referer: next.url,
    }
  }
  return { kind: 'broken', error: `Post "${first.url}": stopped after 10 redirects` }
}

type Once = CallOutcome | { readonly kind: 'redirect'; readonly status: number; readonly location: string }

function once(agent: Agent, { url, method, body, referer }: Call, timeoutMs: number): Promise<Once> {
  return new Promise((resolve) => {
    const fail = (kind: 'refused' | 'timeout' | 'broken', text: string) =>
      resolve({ kind, error: `Post "${encodeURI(url)}": ${text}` })
    const target = URL.canParse(url) ? new URL(url) : undefined
    if (target?.protocol !== 'http:') return fail('broken', 'unsupported protocol scheme ""')

    const headers: Record<string, string> = { Host: target.host, 'User-Agent': 'Go-http-client/1.1' }
    if (method === 'POST') headers['Content-Length'] = String(Buffer.byteLength(body ?? ''))
    headers['Content-Type'] = 'application/json'
    if (referer) headers.Referer = referer
    headers['Accept-Encoding'] = 'gzip'

    const outgoing = httpRequest(target, { agent, method, headers })
    // Go does not send it on a kept-alive connection.
    outgoing.removeHeader('Connection')
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      fail('timeout', 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
      outgoing.destroy()
    }, timeoutMs)
    outgoing.on('response', (response) => {
      clearTimeout(timer)
      response.resume()
      response.on('error', () => {})
      const status = response.statusCode ?? 0
      const location = response.headers.location
      const isRedirect = [301, 302, 303, 307, 308].includes(status) && location !== undefined
      // The connection goes back to the agent only once the body is read.
      response.on('close', () =>
        resolve(isRedirect ? { kind: 'redirect', status, location } : { kind: 'status', status }),
      )
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      if (isLate) return
      if (error.code === 'ECONNREFUSED') {
        fail('refused', `dial tcp ${target.host}: connect: connection refused`)
      } else if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') {
        fail('refused', `dial tcp: lookup ${target.hostname}: no such host`)
      } else if (outgoing.reusedSocket && error.code === 'ECONNRESET') {
        // An idle connection that the consumer had closed: Go notices before it sends and dials anew.
        resolve(once(new Agent(), { url, method, body, ...(referer ? { referer } : {}) }, timeoutMs))
      } else fail('broken', error.code === 'ECONNRESET' ? 'EOF' : error.message)
    })
    outgoing.end(body ?? undefined)
  })
}

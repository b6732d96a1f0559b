import { PublisherError } from '#shared/errors.ts'
import type { HttpAnswer, CallOptions, Http } from '#shared/http/client.ts'
import type { Log } from '#shared/log.ts'
import { type Place, placeOf, type Target } from '#shared/publishers/target.ts'
import type { Client, Dialect } from './client.ts'
import { createRedHatV1, RED_HAT_V1_BASE } from './red-hat-v1.ts'
import { createRedHatV2, RED_HAT_V2_BASE } from './red-hat-v2.ts'
import { createStarlingX, STARLINGX_V2_BASE } from './starlingx.ts'
import { unexpected } from './wire.ts'

const CLIENTS = {
  'red-hat-v1': createRedHatV1,
  'red-hat-v2': createRedHatV2,
  'starlingx-v2': createStarlingX,
}

export type Registry = ReturnType<typeof createRegistry>

/** The clients of the configured publishers, each in its own dialect. */
export function createRegistry({ http, log }: { http: Http; log: Log }) {
  // Weak: with discovery, targets come and go.
  const clients = new WeakMap<Target, Client>()
  return {
    /**
     * The client of a publisher; its dialect is detected the first time and remembered.
     * @throws PublisherError if it cannot be detected.
     */
    async client(target: Target, options?: CallOptions): Promise<Client> {
      const known = clients.get(target)
      if (known !== undefined) return known
      const place = placeOf(target.url)
      let { dialect } = target
      if (dialect === 'auto') {
        dialect = await detectDialect(http, place, options)
        log.debug('Dialect found', { node: target.node, url: place.shown, dialect })
      }
      const client = CLIENTS[dialect](http, place, target.node)
      clients.set(target, client)
      return client
    },

    /** Whether its dialect has been detected. */
    knows: (target: Target) => target.dialect === 'auto' && clients.has(target),

    /** Forgets the dialect, to detect it again next time: the answers no longer fit, for example after an upgrade. */
    forget(target: Target) {
      if (target.dialect === 'auto') clients.delete(target)
    },
  }
}

/**
 * Detects the dialect of a publisher by the health checks of the dialects (protocol.md §1, starlingx.md), or by its list
 * of subscriptions if it has none.
 * @throws PublisherError if it cannot be reached, is failing, or speaks none of them; the message then says what to
 * configure.
 */
export async function detectDialect(http: Http, place: Place, options?: CallOptions): Promise<Dialect> {
  const get = async (path: string): Promise<HttpAnswer> => {
    const request = { method: 'GET', path: `${place.prefix}${path}` } as const
    const answer = await http.request(place.origin, request, options)
    // Sent by a proxy without a backend, or a failing publisher: it says nothing about the dialect.
    if (answer.status >= 500 || answer.status === 429) throw unexpected(answer)
    return answer
  }

  const v2 = await get(`${RED_HAT_V2_BASE}/health`)
  if (v2.status === 200) return 'red-hat-v2'
  const v1 = await get(`${RED_HAT_V1_BASE}/health`)
  if (v1.status === 200) return 'red-hat-v1'
  // The daemon's own API has no health check: its list says what it speaks (protocol.md §8).
  const own = await get(`${RED_HAT_V2_BASE}/subscriptions`)
  if (own.status === 200 && /^\s*(?:\[|null\s*$)/.test(own.body)) return 'red-hat-v2'
  const root = await get('/health')
  const isTransport = root.status === 200 && /^\s*\{\s*"ok"\s*:\s*true\s*\}\s*$/.test(root.body)
  if (root.status === 200 && !isTransport) {
    const list = await get(`${STARLINGX_V2_BASE}/subscriptions`)
    if (list.status === 200 || /"health"/.test(root.body)) return 'starlingx-v2'
  }
  const what = isTransport
    ? 'is the transport port of a v1 publisher or sidecar, which serves no subscriptions: set `url` to the API of its sidecar (port 8089) and `transport` to this address'
    : `speaks no known dialect: GET ${RED_HAT_V2_BASE}/health answered ${v2.status}, ${RED_HAT_V1_BASE}/health ${v1.status} and /health ${root.status}; check \`url\`, or set \`dialect\` to red-hat-v1, red-hat-v2 or starlingx-v2`
  throw new PublisherError('status', `${place.shown} ${what}`, { url: place.shown })
}

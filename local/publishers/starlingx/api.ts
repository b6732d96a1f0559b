import type { Core } from '../core.ts'
import { json, plain } from '../http/go-mux.ts'
import type { Handler, SimReply, SimRequest } from '../http/server.ts'
import type { Subscription } from './delivery.ts'
import { type Address, overlaps, readAddress, resources } from './resources.ts'

export interface ApiParts {
  readonly core: Core
  readonly node: string
  readonly port: () => number
  readonly subscriptions: Map<string, Subscription>
  /** The bodies of the initial notifications of an address: all current items below it. */
  readonly initial: (address: Address) => readonly string[]
  /** The body of a pull; undefined where the tree has nothing at this address. */
  readonly currentState: (address: Address) => unknown
}

const root = /^\/ocloudnotifications\/v2(\/.*)$/i

/** The sidecar's API. Path words are matched in any case, addresses in the raw target (starlingx.md). */
export function createApi(parts: ApiParts): Handler {
  const { core, node, subscriptions } = parts
  const error = (status: number, message: string) => json(status, { status, message })
  const isOurs = (address: Address) => ['.', '*', node].includes(address.node)

  const show = ({ id, endpoint, address }: Subscription) => ({
    EndpointUri: endpoint,
    ResourceAddress: address,
    SubscriptionId: id,
    UriLocation: `http://127.0.0.1:${parts.port()}/ocloudNotifications/v2/subscriptions/${id}`,
  })

  async function create(request: SimRequest): Promise<SimReply> {
    const wanted = readBody(request.body)
    if (!wanted) return error(400, 'Invalid subscription')
    const { endpoint, address } = wanted
    const parsed = readAddress(address)
    if (!parsed) return error(404, `Resource address ${address} is not available`)
    if (!isOurs(parsed)) return error(404, `Node ${parsed.node} is not available`)
    for (const other of subscriptions.values()) {
      if (other.endpoint === endpoint && overlaps(other.parsed, parsed, node)) {
        return plain(409, `Subscription ${other.address} already exists for ${endpoint}`)
      }
    }
    if (!core.ready) return error(404, 'ptp notification service is not ready')
    for (const body of parts.initial(parsed)) {
      const outcome = await core.call(endpoint, body, 'initial')
      if (outcome.kind !== 'status' || outcome.status >= 400)
        return error(400, `${endpoint} is not reachable`)
    }
    const subscription = { id: core.uuid(), endpoint, address, parsed }
    subscriptions.set(subscription.id, subscription)
    return json(201, show(subscription))
  }

  async function currentState(text: string): Promise<SimReply> {
    const address = readAddress(text)
    const fault = core.faults.stateAnswer(address && kindAt(address))
    if (fault === 'hang') return 'hang'
    if (fault) return error(fault, 'simulated')
    if (!address || !isOurs(address) || !core.ready) return error(404, `${text} is not available`)
    const body = parts.currentState(address)
    return body === undefined ? error(404, `${text} is not available`) : json(200, body)
  }

  return (request) => {
    // The raw path: a client that folded `/./` away asks for another resource.
    const raw = request.target.split('?')[0] ?? '/'
    if (raw === '/health') return json(200, { health: true })
    const path = root.exec(raw)?.[1]
    if (path === undefined) return error(404, 'Not Found')
    const state = /^(\/.+)\/CurrentState$/i.exec(path)?.[1]
    if (state !== undefined && request.method === 'GET') return currentState(state)
    const [, id, isList] = /^\/subscriptions(?:\/([^/]+)|(\/?))$/i.exec(path) ?? []
    if (isList !== undefined) {
      if (request.method === 'POST') return create(request)
      if (request.method === 'GET') return json(200, [...subscriptions.values()].map(show))
      return error(405, 'Method Not Allowed')
    }
    const subscription = subscriptions.get(id ?? '')
    if (!subscription) return error(404, 'Not Found')
    if (request.method === 'GET') return json(200, show(subscription))
    if (request.method !== 'DELETE') return error(405, 'Method Not Allowed')
    subscriptions.delete(subscription.id)
    return { status: 204 }
  }
}

function kindAt({ path }: Address) {
  return resources.find((resource) => resource.path === path)?.kind
}

function readBody(body: string): { endpoint: string; address: string } | undefined {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== 'object' || value === null) return undefined
    const endpoint = 'EndpointUri' in value ? value.EndpointUri : undefined
    const address = 'ResourceAddress' in value ? value.ResourceAddress : undefined
    if (typeof endpoint !== 'string' || typeof address !== 'string' || endpoint === '') return undefined
    return { endpoint, address }
  } catch {
    return undefined
  }
}

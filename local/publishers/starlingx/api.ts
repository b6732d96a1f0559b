import type { Core } from '../core.ts'
import { json } from '../http/go-mux.ts'
import type { Handler, SimReply, SimRequest } from '../http/server.ts'
import type { Subscription } from './delivery.ts'
import { type Address, isAt, isKnown, readAddress, resources } from './resources.ts'
import type { Service } from './service.ts'

export interface ApiParts {
  readonly core: Core
  readonly port: () => number
  readonly format: 'standard' | 'legacy'
  readonly subscriptions: Map<string, Subscription>
  /** The services of the nodes that an address names; none where it is unknown. */
  readonly servicesAt: (address: Address) => readonly Service[]
  readonly nodeOf: (address: Address) => string
  /** Whether the service of a node has been heard of since the sidecar started. */
  readonly heard: () => boolean
  readonly onSubscribed: (subscription: Subscription) => void
}

const root = /^\/ocloudnotifications\/v2(\/.*)?$/i

/** The sidecar's API. Path words are matched in any case, addresses in the raw target (starlingx.md). */
export function createApi(parts: ApiParts): Handler {
  const { core, subscriptions } = parts
  const notFound = json(404, { status: 404, message: 'The resource could not be found.' })
  const client = (faultstring: string, status = 400) =>
    json(status, { faultcode: 'Client', faultstring, debuginfo: null })
  const serverFault = json(500, {
    faultcode: 'Server',
    faultstring: 'The server has either erred or is incapable of performing the requested operation.',
    debuginfo: null,
  })

  const show = ({ id, endpoint, address }: Subscription) => ({
    SubscriptionId: id,
    UriLocation: `http://127.0.0.1:${parts.port()}/ocloudNotifications/v2/subscriptions/${id}`,
    EndpointUri: endpoint,
    ResourceAddress: address,
  })

  /** Instances are not looked at, nor is `/sync/a` told from a word that begins alike. */
  function overlaps(a: Address, b: Address): boolean {
    const isSameNode = a.node === '*' || b.node === '*' || parts.nodeOf(a) === parts.nodeOf(b)
    return isSameNode && (isAt(a.path, b.path) || isAt(b.path, a.path))
  }

  async function create(request: SimRequest): Promise<SimReply> {
    const wanted = readBody(request.body)
    if (typeof wanted === 'string') return client(wanted)
    const { endpoint, address } = wanted
    const parsed = readAddress(address)
    // An address without a node, such as `/sync`.
    if (!parsed) return serverFault
    const services = parts.servicesAt(parsed)
    // The real one waits for 5 s for a node that it does not know.
    if (services.length === 0) return notFound
    const equal = [...subscriptions.values()].find(
      (other) => other.endpoint === endpoint && overlaps(other.parsed, parsed),
    )
    if (equal) {
      const shown = Object.entries(show(equal)).map(([name, value]) => `'${name}': '${value}'`)
      return client(`Subscription already exists: {${shown.join(', ')}}`, 409)
    }
    for (const service of services) {
      const bodies = isKnown(parsed) ? service.initial(parsed) : []
      for (const body of bodies) {
        const outcome = await core.call(endpoint, body, 'initial')
        if (outcome.kind !== 'status' || outcome.status >= 400)
          return client(`Endpoint is invalid: ${endpoint}`)
      }
      // Nothing to say is not provided for: a kind that the node has no instance of cannot be subscribed to.
      if (bodies.length === 0) {
        return parts.format === 'legacy' ? client(`Resource is invalid: ${parsed.path}`) : serverFault
      }
    }
    const subscription = { id: core.uuid(), endpoint, address, parsed }
    subscriptions.set(subscription.id, subscription)
    parts.onSubscribed(subscription)
    return json(201, show(subscription))
  }

  async function currentState(text: string): Promise<SimReply> {
    const address = readAddress(text)
    const fault = core.faults.stateAnswer(address && kindAt(address))
    if (fault === 'hang') return 'hang'
    if (fault) return json(fault, { status: fault, message: 'simulated' })
    if (!address || address.node === '*' || !isKnown(address) || !parts.heard()) return notFound
    const [service] = parts.servicesAt(address)
    return service ? json(200, service.currentState(address)) : notFound
  }

  return (request) => {
    // The raw path: a client that folded `/./` away asks for another resource.
    const raw = request.target.split('?')[0] ?? '/'
    if (raw === '/health') return json(200, { health: true })
    const match = root.exec(raw)
    if (!match) return notFound
    const path = match[1] ?? ''
    if (path === '') return json(200, '"v2controller"')
    const state = /^(\/.+)\/CurrentState$/i.exec(path)?.[1]
    if (state !== undefined && request.method === 'GET') return currentState(state)
    const [, id, isList] = /^\/subscriptions(?:\/([^/]+)|(\/?))$/i.exec(path) ?? []
    if (isList !== undefined) {
      if (request.method === 'POST') return create(request)
      if (request.method === 'GET') return json(200, [...subscriptions.values()].map(show))
      return notAllowed(request.method, 'GET, POST')
    }
    const subscription = subscriptions.get(id ?? '')
    if (!subscription) return notFound
    if (request.method === 'GET') return json(200, show(subscription))
    if (request.method !== 'DELETE') return notAllowed(request.method, 'DELETE, GET')
    subscriptions.delete(subscription.id)
    return { status: 204 }
  }
}

function notAllowed(method: string, allow: string): SimReply {
  return {
    status: 405,
    headers: { 'Content-Type': 'text/html; charset=UTF-8', Allow: allow },
    body: `<html>\n <head>\n  <title>405 Method Not Allowed</title>\n </head>\n <body>\n  <h1>405 Method Not Allowed</h1>\n  The method ${method} is not allowed for this resource. <br /><br />\n\n </body>\n</html>`,
  }
}

function kindAt({ path }: Address) {
  return resources.find((resource) => resource.path === path)?.kind
}

/** What is asked for, or what is said of a body that is nothing of the kind. */
function readBody(body: string): { endpoint: string; address: string } | string {
  if (body === '') return 'Missing argument: "subscription"'
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== 'object' || value === null) return MALFORMED
    const members = new Map<string, unknown>(Object.entries(value))
    const unknown = [...members.keys()].find((name) => !MEMBERS.includes(name))
    if (unknown !== undefined) return `Unknown attribute for argument subscription: ${unknown}`
    const [endpoint, address] = [members.get('EndpointUri'), members.get('ResourceAddress')]
    if (typeof endpoint !== 'string' || typeof address !== 'string' || endpoint === '') return MALFORMED
    return { endpoint, address }
  } catch {
    return 'Request is not in valid JSON format'
  }
}

const MEMBERS = ['EndpointUri', 'ResourceAddress', 'SubscriptionId', 'UriLocation']

const MALFORMED =
  'The server could not comply with the request since it is either malformed or otherwise incorrect.'

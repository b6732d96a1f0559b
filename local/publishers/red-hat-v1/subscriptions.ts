import { isParsable, parseObject } from '../red-hat-v2/subscriptions.ts'

/** A subscription in the sidecar's store. `endpoint` null: omitted; '': given but without scheme. */
export interface SubscriptionV1 {
  readonly id: string
  readonly resource: string
  readonly endpoint: string | null
  readonly spelling: 'v1' | 'v2'
}

export type RequestV1 = Omit<SubscriptionV1, 'id'>

/**
 * Reads the body of a v1 create; `undefined` is a 400 "marshalling error". 4.14 takes keys in any case
 * and asks for none; 4.18 takes the exact keys of v1 or v2 and wants a resource (protocol.md §2.2, §2.3).
 */
export function readRequestV1(body: string, release: '4.14' | '4.18'): RequestV1 | undefined {
  const fields = parseObject(body)
  if (!fields) return undefined
  return release === '4.14' ? readAnyCase(fields) : readExact(fields)
}

function readAnyCase(fields: Record<string, unknown>): RequestV1 | undefined {
  const folded = new Map(Object.entries(fields).map(([key, value]) => [key.toLowerCase(), value]))
  const resource = folded.get('resource') ?? ''
  const endpoint = folded.get('endpointuri') ?? null
  if (typeof resource !== 'string') return undefined
  if (endpoint !== null && typeof endpoint !== 'string') return undefined
  return { resource, endpoint: endpoint === null ? null : emptiedUnlessParsable(endpoint), spelling: 'v1' }
}

function readExact(fields: Record<string, unknown>): RequestV1 | undefined {
  const spelling = 'ResourceAddress' in fields ? 'v2' : 'v1'
  const resource = spelling === 'v2' ? fields.ResourceAddress : fields.resource
  const endpoint = (spelling === 'v2' ? fields.EndpointUri : fields.endpointUri) ?? ''
  if (typeof resource !== 'string' || resource === '' || typeof endpoint !== 'string') return undefined
  return { resource, endpoint: emptiedUnlessParsable(endpoint), spelling }
}

const emptiedUnlessParsable = (endpoint: string) => (isParsable(endpoint) ? endpoint : '')

/**
 * The sidecar's two stores, which need not agree (protocol.md §2.4): the file, which is what it lists and what it knows
 * after a restart, and the memory, by which it delivers. A duplicate is kept in memory alone, under one more key, and
 * a deletion takes away the entry of the file and one key.
 */
export function createStoreV1(newId: () => string) {
  let file: readonly SubscriptionV1[] = []
  const memory = new Map<string, SubscriptionV1>()
  const find = (matches: (subscription: SubscriptionV1) => boolean) => [...memory.values()].find(matches)

  return {
    find,
    at: (resource: string) => find((one) => one.resource === resource),
    byId: (id: string) => memory.get(id),
    listed: () => file,
    /** The resources that it delivers. */
    resources: () => new Set([...memory.values()].map(({ resource }) => resource)),
    create(wanted: RequestV1): SubscriptionV1 {
      const id = newId()
      const before = find((one) => one.resource === wanted.resource)
      const subscription = before ?? { ...wanted, id }
      if (before === undefined) file = [...file, subscription]
      memory.set(id, subscription)
      return subscription
    },
    remove(id: string): boolean {
      if (memory.has(id)) file = file.filter((one) => one.id !== id)
      return memory.delete(id)
    },
    removeAll() {
      file = []
      memory.clear()
    },
    restart() {
      memory.clear()
      for (const one of file) memory.set(one.id, one)
    },
  }
}

export type StoreV1 = ReturnType<typeof createStoreV1>

/** The object as each release orders and names its keys. */
export function showV1(subscription: SubscriptionV1, base: string, release: '4.14' | '4.18') {
  const { id, resource, endpoint, spelling } = subscription
  const location = `${base}/subscriptions/${id}`
  if (release === '4.14') return { id, endpointUri: endpoint, uriLocation: location, resource }
  return spelling === 'v2'
    ? { ResourceAddress: resource, EndpointUri: endpoint, SubscriptionId: id, UriLocation: location }
    : { resource, endpointUri: endpoint, id, uriLocation: location }
}

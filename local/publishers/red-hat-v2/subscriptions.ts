/** A subscription and the spelling in which it was asked for (4.16 to 4.18 answer in kind). */
export interface SubscriptionV2 {
  readonly id: string
  readonly address: string
  readonly endpoint: string
  readonly spelling: 'v2' | 'v1'
}

export interface SubscriptionRequest {
  readonly address: string
  readonly endpoint: string
  readonly spelling: 'v2' | 'v1'
}

/**
 * Reads the body of `POST subscriptions` with exact, case-sensitive keys; `undefined` is a 400
 * (protocol.md §3.1, checks 1 and 2).
 */
export function readRequest(body: string, acceptsV1Keys: boolean): SubscriptionRequest | undefined {
  const fields = parseObject(body)
  if (!fields) return undefined
  const spelling = acceptsV1Keys && 'resource' in fields ? 'v1' : 'v2'
  const address = spelling === 'v1' ? fields.resource : fields.ResourceAddress
  const endpoint = spelling === 'v1' ? fields.endpointUri : fields.EndpointUri
  if (typeof address !== 'string' || typeof endpoint !== 'string' || address === '') return undefined
  const trimmed = endpoint.trim()
  return isParsable(trimmed) ? { address, endpoint: trimmed, spelling } : undefined
}

/** The object that answers a create, in the key order of the real servers. */
export function show(
  { id, address, endpoint, spelling }: SubscriptionV2,
  base: string,
  list = 'subscriptions',
) {
  const location = `${base}/${list}/${id}`
  return spelling === 'v2'
    ? { ResourceAddress: address, EndpointUri: endpoint, SubscriptionId: id, UriLocation: location }
    : { resource: address, endpointUri: endpoint, id, uriLocation: location }
}

export function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Go's url.Parse takes `not a uri` for a path, but no colon in a first segment without scheme. */
export function isParsable(uri: string): boolean {
  if (uri === '') return false
  return /^[a-z][a-z0-9+.-]*:/i.test(uri) ? !/^[^/]*:\d/.test(uri) : !/^[^/]*:/.test(uri)
}

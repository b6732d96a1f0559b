import * as z from 'zod/mini'
import type { Collection, Kept } from './collection.ts'
import type { Stored } from './config-map.ts'
import type { Objects } from './objects.ts'
import type { List, ListOptions } from './pages.ts'
import { jsonPatch, mergePatch } from './patch.ts'
import { badRequest, Refusal } from './refusal.ts'
import type { Pods } from './pods.ts'
import { parseFieldSelector } from './selector.ts'
import type { Services } from './services.ts'

export type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete'

const KINDS = ['configmaps', 'services', 'events', 'nodes', 'pods'] as const
export type Kind = (typeof KINDS)[number]

/** A request to the objects of a namespace, or to the Nodes, as authorisation sees it. */
export type Asked = {
  readonly resource: Kind
  readonly verb: Verb
  /** Empty for Nodes, and for a list of all namespaces. */
  readonly namespace: string
  readonly name: string
  readonly subresource: string
  /** What is asked of a Pod, with the query. */
  readonly proxied: string
  readonly query: URLSearchParams
}

const VERBS: Readonly<Record<string, Verb>> = {
  GET: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

/** What a method and a path ask for; undefined if it is about none of them. */
export function askedOf(method: string, target: string): Asked | undefined {
  const url = new URL(target, 'http://api')
  const [, namespace, kind, name = '', subresource = '', path = ''] =
    /^\/api\/v1(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?(?:\/(status|proxy)(?:\/(.*))?)?$/.exec(
      url.pathname,
    ) ?? []
  const resource = KINDS.find((one) => one === kind)
  const verb = VERBS[method]
  if (resource === undefined || verb === undefined) return undefined
  const isWide = resource === 'nodes' || (method === 'GET' && name === '')
  if (namespace === undefined ? !isWide : resource === 'nodes') return undefined
  if (subresource !== '' && (PARTS[resource] !== subresource || name === '')) return undefined
  if ((name === '') !== (method === 'GET' || method === 'POST') && name === '') return undefined
  return {
    resource,
    verb: verb === 'get' && name === '' ? 'list' : verb,
    namespace: decodeURIComponent(namespace ?? ''),
    name: decodeURIComponent(name),
    subresource,
    proxied: `${path}${url.search}`,
    query: url.searchParams,
  }
}

/** What kubectl asks first: which groups and kinds there are. Undefined for all other paths. */
export function discoveryOf(target: string): unknown {
  switch (new URL(target, 'http://api').pathname) {
    case '/api':
      return { kind: 'APIVersions', versions: ['v1'] }
    case '/apis':
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: [] }
    case '/api/v1': {
      const resources = KINDS.map((name) => ({
        ...{ name, singularName: '', namespaced: name !== 'nodes', verbs: ['get', 'list'] },
        kind: { configmaps: 'ConfigMap', services: 'Service', events: 'Event', nodes: 'Node', pods: 'Pod' }[
          name
        ],
      }))
      return { kind: 'APIResourceList', groupVersion: 'v1', resources }
    }
    default:
      return undefined
  }
}

const PARTS: Readonly<Record<string, string>> = { nodes: 'status', pods: 'proxy' }

const deleteOptions = z.object({
  preconditions: z.optional(
    z.object({ uid: z.optional(z.string()), resourceVersion: z.optional(z.string()) }),
  ),
})

/** The answer to a list of Services, which is all that is asked of them. */
export function answerServices(services: Services, { verb, namespace, query }: Asked) {
  if (verb !== 'list') throw new Refusal(405, 'MethodNotAllowed', 'the stand-in lists Services only')
  const { items, metadata } = pageOf(services.list, namespace, query)
  return { code: 200, body: { kind: 'ServiceList', apiVersion: 'v1', metadata, items } }
}

function pageOf<T>(
  list: (namespace: string, options: ListOptions) => List<T>,
  namespace: string,
  query: URLSearchParams,
) {
  const {
    items,
    resourceVersion,
    continue: next,
  } = list(namespace, {
    labelSelector: query.get('labelSelector') ?? '',
    limit: Number(query.get('limit') ?? 0),
    continue: query.get('continue') ?? '',
  })
  const selects = parseFieldSelector(query.get('fieldSelector') ?? '')
  return {
    items: items.filter(selects),
    metadata: { resourceVersion, ...(next !== '' && { continue: next }) },
  }
}

/** The answer to a list of Pods. */
export function answerPods(pods: Pods, { verb, namespace, query }: Asked) {
  if (verb !== 'list') throw new Refusal(405, 'MethodNotAllowed', 'the stand-in lists Pods only')
  const { items, metadata } = pageOf(pods.list, namespace, query)
  return { code: 200, body: { kind: 'PodList', apiVersion: 'v1', metadata, items } }
}

/** The answer to a request for Nodes or Events that is allowed: status and body. */
export function answerCollection<T extends Kept>(
  collection: Collection<T>,
  { verb, namespace, name, subresource, query }: Asked,
  headers: { accept: string; contentType: string },
  body: string,
): { code: number; body: unknown } {
  const { kind } = collection
  switch (verb) {
    case 'get':
      return { code: 200, body: collection.get(namespace, name) }
    case 'create':
      return { code: 201, body: collection.create(namespace, parse(body)) }
    case 'patch': {
      const patch = { type: headers.contentType, body: parse(body) }
      return { code: 200, body: collection.patch(namespace, name, subresource, patch) }
    }
    case 'list': {
      const { items, metadata } = pageOf(collection.list, namespace, query)
      if (/;as=PartialObjectMetadataList\b/.test(headers.accept)) {
        const partials = items.length === 0 ? null : items.map(partial)
        return { code: 200, body: { ...META, kind: 'PartialObjectMetadataList', metadata, items: partials } }
      }
      const bare = items.map(({ kind: _, apiVersion: __, ...item }) => item)
      return { code: 200, body: { kind: `${kind}List`, apiVersion: 'v1', metadata, items: bare } }
    }
    default:
      throw new Refusal(405, 'MethodNotAllowed', `the stand-in does not ${verb} ${kind}s`)
  }
}

/** The answer to a request for ConfigMaps that is allowed: status and body. */
export function answer(
  objects: Objects,
  { verb, namespace, name, query }: Asked,
  headers: { accept: string; contentType: string },
  body: string,
): { code: number; body: unknown } {
  const manager = query.get('fieldManager') ?? 'unknown'
  const shown = (object: Stored) =>
    /;as=PartialObjectMetadata\b/.test(headers.accept) ? partial(object) : object
  switch (verb) {
    case 'get':
      return { code: 200, body: shown(objects.get(namespace, name)) }
    case 'create':
      return { code: 201, body: shown(objects.create(namespace, parse(body), manager)) }
    case 'update':
      return { code: 200, body: shown(objects.update(namespace, name, parse(body), manager)) }
    case 'patch': {
      const patched = patch(headers.contentType, name, objects.get(namespace, name), parse(body))
      return { code: 200, body: shown(objects.update(namespace, name, patched, manager)) }
    }
    case 'delete': {
      const options = deleteOptions.parse(body === '' ? {} : parse(body))
      const { uid } = objects.remove(namespace, name, options.preconditions ?? {}).metadata
      const details = { name, kind: 'configmaps', uid }
      return {
        code: 200,
        body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details },
      }
    }
    case 'list': {
      const list = pageOf(objects.list, namespace, query)
      const { metadata } = list
      if (/;as=PartialObjectMetadataList\b/.test(headers.accept)) {
        // The one list whose items Go leaves nil where there is none: it comes as null.
        const items = list.items.length === 0 ? null : list.items.map(partial)
        return { code: 200, body: { ...META, kind: 'PartialObjectMetadataList', metadata, items } }
      }
      // Items of a list bear no kind of their own.
      const items = list.items.map(({ metadata, data }) => ({ metadata, data }))
      return { code: 200, body: { kind: 'ConfigMapList', apiVersion: 'v1', metadata, items } }
    }
  }
}

const META = { apiVersion: 'meta.k8s.io/v1' }

const partial = ({ metadata }: { readonly metadata: unknown }) => ({
  ...META,
  kind: 'PartialObjectMetadata',
  metadata,
})

function patch(contentType: string, name: string, before: Stored, body: unknown): unknown {
  if (contentType === 'application/json-patch+json') return jsonPatch(name, before, body)
  if (contentType !== 'application/merge-patch+json') {
    throw new Refusal(415, 'UnsupportedMediaType', `the body of the request was in an unknown format`)
  }
  // Only a version that the patch itself names is a condition: without one the last writer wins.
  return mergePatch({ ...before, metadata: { ...before.metadata, resourceVersion: undefined } }, body)
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw badRequest('the object provided is unrecognized: it is no JSON')
  }
}

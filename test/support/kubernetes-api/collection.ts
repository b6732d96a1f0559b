import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod/mini'
import { createPages, type List, type ListOptions } from './pages.ts'
import { jsonPatch, type MergeKeys, mergePatch, strategicMergePatch } from './patch.ts'
import { badRequest, conflict, notFound, Refusal } from './refusal.ts'

/** Labels, annotations, the data of a ConfigMap; absent or null is none. */
export const texts = z.pipe(
  z.nullish(z.record(z.string(), z.string())),
  z.transform((map) => map ?? {}),
)

export const metadata = z.object({
  name: z.string().check(z.regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/)),
  namespace: z.optional(z.string()),
  uid: z.optional(z.string()),
  resourceVersion: z.optional(z.string()),
  creationTimestamp: z.nullish(z.string()),
  labels: texts,
  annotations: texts,
})

/** What the API server does with a metav1.Time: it takes any RFC 3339 time, and keeps whole seconds. */
export const time = z.pipe(
  z.string().check(z.iso.datetime({ offset: true })),
  z.transform((text) => new Date(text).toISOString().replace(/\.\d+Z$/, 'Z')),
)

/** An object as it is kept: never changed, only replaced. */
export type Kept = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: z.infer<typeof metadata>
}

/** How a kind differs from others. */
export type Resource<T extends Kept> = {
  readonly resource: string
  readonly kind: string
  readonly mergeKeys: MergeKeys
  /** @throws Refusal for what the API server would not take. */
  parse(body: unknown): T
  /** What a patch of this subresource ('' for none) may change of an object. */
  confine(before: T, patched: T, subresource: string): T
}

/** All objects of a kind, with the rules of the real API server about who may replace what. */
export type Collection<T extends Kept> = {
  readonly kind: string
  get(namespace: string, name: string): T
  create(namespace: string, body: unknown): T
  /** Where the patch names a `resourceVersion` it must be that of the object. */
  patch(
    namespace: string,
    name: string,
    subresource: string,
    patch: { readonly type: string; readonly body: unknown },
  ): T
  remove(namespace: string, name: string): void
  all(): T[]
  list(namespace: string, options: ListOptions): List<T>
}

export function createCollection<T extends Kept>(kind: Resource<T>): Collection<T> {
  const { resource } = kind
  const kept = new Map<string, T>()
  let revision = 1

  const keyOf = (namespace: string, name: string) => `${namespace}/${name}`
  const get = (namespace: string, name: string) => {
    const found = kept.get(keyOf(namespace, name))
    if (found === undefined) throw notFound(name, resource)
    return found
  }
  const keep = (namespace: string, object: T): T => {
    revision += 1
    const stored = {
      ...object,
      metadata: { ...object.metadata, ...(namespace && { namespace }), resourceVersion: String(revision) },
    }
    kept.set(keyOf(namespace, object.metadata.name), stored)
    return stored
  }
  const all = (namespace: string) =>
    [...kept.values()]
      .filter(({ metadata }) => namespace === '' || metadata.namespace === namespace)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  const pages = createPages(all, () => revision)

  function patched(before: T, type: string, body: unknown): unknown {
    const { name } = before.metadata
    if (type === 'application/json-patch+json') return jsonPatch(name, before, body)
    // Only a version that the patch itself names is a condition.
    const target = { ...before, metadata: { ...before.metadata, resourceVersion: undefined } }
    if (type === 'application/merge-patch+json') return mergePatch(target, body)
    if (type === 'application/strategic-merge-patch+json')
      return strategicMergePatch(target, body, kind.mergeKeys)
    throw new Refusal(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json`,
    )
  }

  return {
    kind: kind.kind,
    get,
    create(namespace, body) {
      const given = kind.parse(namespace === '' ? body : mergePatch(body, { metadata: { namespace } }))
      const { name, resourceVersion } = given.metadata
      if (resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
      if (kept.has(keyOf(namespace, name)))
        throw new Refusal(409, 'AlreadyExists', `${resource} "${name}" already exists`)
      const creationTimestamp = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
      return keep(namespace, {
        ...given,
        metadata: { ...given.metadata, uid: randomUUID(), creationTimestamp },
      })
    },
    patch(namespace, name, subresource, { type, body }) {
      const before = get(namespace, name)
      const given = kind.parse(patched(before, type, body))
      if (given.metadata.name !== name) throw badRequest('the name of the object does not match the URL')
      const { uid = before.metadata.uid, resourceVersion = before.metadata.resourceVersion } = given.metadata
      if (uid !== before.metadata.uid)
        throw conflict(name, 'Precondition failed: UID in precondition', resource)
      if (resourceVersion !== before.metadata.resourceVersion) {
        throw conflict(
          name,
          'the object has been modified; please apply your changes to the latest version and try again',
          resource,
        )
      }
      const { metadata } = before
      const { labels, annotations } = given.metadata
      const next = kind.confine(
        before,
        { ...given, metadata: { ...metadata, labels, annotations } },
        subresource,
      )
      // What changes nothing is not written, and keeps its version.
      return isDeepStrictEqual(next, before) ? before : keep(namespace, next)
    },
    remove(namespace, name) {
      get(namespace, name)
      revision += 1
      kept.delete(keyOf(namespace, name))
    },
    all: () => [...kept.values()],
    list: pages.list,
  }
}

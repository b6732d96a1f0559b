import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type ConfigMap, parseConfigMap, type Stored } from './config-map.ts'
import { createPages, type List, type ListOptions } from './pages.ts'
import { badRequest, conflict, notFound, Refusal } from './refusal.ts'

export type Preconditions = { uid?: string | undefined; resourceVersion?: string | undefined }

/** The ConfigMaps of a cluster, with the rules of the real API server about who may replace what. */
export type Objects = {
  get(namespace: string, name: string): Stored
  create(namespace: string, body: unknown, manager: string): Stored
  /** Without a `resourceVersion` in the body it overwrites, whoever wrote last. */
  update(namespace: string, name: string, body: unknown, manager: string): Stored
  remove(namespace: string, name: string, preconditions: Preconditions): Stored
  /** In order of names. What follows the first page is of the time of the first page. */
  list(namespace: string, options: ListOptions): List<Stored>
  /** As after five minutes, when etcd has forgotten the time of the first page. */
  expireContinuations(): void
}

export function createObjects(): Objects {
  const objects = new Map<string, Stored>()
  let revision = 1

  const keyOf = (namespace: string, name: string) => `${namespace}/${name}`
  const get = (namespace: string, name: string) => {
    const found = objects.get(keyOf(namespace, name))
    if (found === undefined) throw notFound(name)
    return found
  }

  function store(namespace: string, given: ConfigMap, before: Stored | undefined, manager: string): Stored {
    const { name, labels, annotations } = given.metadata
    const managers = new Set([...(before?.metadata.managedFields ?? []).map((one) => one.manager), manager])
    const next: Stored = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace,
        labels,
        annotations,
        uid: before?.metadata.uid ?? randomUUID(),
        resourceVersion: before?.metadata.resourceVersion ?? '',
        creationTimestamp:
          before?.metadata.creationTimestamp ?? new Date().toISOString().slice(0, 19).concat('Z'),
        managedFields: [...managers].map((one) => ({ manager: one })),
      },
      data: given.data,
    }
    // What changes nothing is not written, and keeps its version.
    if (before !== undefined && isDeepStrictEqual(next, before)) return before
    revision += 1
    const stored = { ...next, metadata: { ...next.metadata, resourceVersion: String(revision) } }
    objects.set(keyOf(namespace, name), stored)
    return stored
  }

  function all(namespace: string): Stored[] {
    const found = [...objects.values()].filter(
      ({ metadata }) => namespace === '' || metadata.namespace === namespace,
    )
    return found.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  }

  const pages = createPages(all, () => revision)

  return {
    get,
    create(namespace, body, manager) {
      const given = parseConfigMap(body)
      const { name } = given.metadata
      if (given.metadata.resourceVersion) {
        throw badRequest('resourceVersion should not be set on objects to be created')
      }
      if (objects.has(keyOf(namespace, name))) {
        throw new Refusal(409, 'AlreadyExists', `configmaps "${name}" already exists`)
      }
      return store(namespace, given, undefined, manager)
    },
    update(namespace, name, body, manager) {
      const given = parseConfigMap(body)
      const before = get(namespace, name)
      if (given.metadata.name !== name) throw badRequest('the name of the object does not match the URL')
      const { uid, resourceVersion } = given.metadata
      if (uid && uid !== before.metadata.uid) throw conflict(name, 'Precondition failed: UID in precondition')
      if (resourceVersion && resourceVersion !== before.metadata.resourceVersion) {
        throw conflict(
          name,
          'the object has been modified; please apply your changes to the latest version and try again',
        )
      }
      return store(namespace, given, before, manager)
    },
    remove(namespace, name, { uid, resourceVersion }) {
      const before = get(namespace, name)
      const fits =
        (uid ?? before.metadata.uid) === before.metadata.uid &&
        (resourceVersion ?? before.metadata.resourceVersion) === before.metadata.resourceVersion
      if (!fits) throw conflict(name, 'the precondition does not hold')
      objects.delete(keyOf(namespace, name))
      revision += 1
      return before
    },
    list: pages.list,
    expireContinuations: pages.expire,
  }
}

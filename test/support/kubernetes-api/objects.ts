import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type ConfigMap, parseConfigMap, type Stored } from './config-map.ts'
import { badRequest, conflict, notFound, Refusal } from './refusal.ts'
import { parseSelector } from './selector.ts'

export type ListOptions = { labelSelector: string; limit: number; continue: string }
export type List = { items: Stored[]; resourceVersion: string; continue: string }
export type Preconditions = { uid?: string | undefined; resourceVersion?: string | undefined }

/** The ConfigMaps of a cluster, with the rules of the real API server about who may replace what. */
export type Objects = {
  get(namespace: string, name: string): Stored
  create(namespace: string, body: unknown, manager: string): Stored
  /** Without a `resourceVersion` in the body it overwrites, whoever wrote last. */
  update(namespace: string, name: string, body: unknown, manager: string): Stored
  remove(namespace: string, name: string, preconditions: Preconditions): Stored
  /** In order of names. What follows the first page is of the time of the first page. */
  list(namespace: string, options: ListOptions): List
  /** As after five minutes, when etcd has forgotten the time of the first page. */
  expireContinuations(): void
}

export function createObjects(): Objects {
  const objects = new Map<string, Stored>()
  const snapshots = new Map<number, Stored[]>()
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
    const found = [...objects.values()].filter(({ metadata }) => metadata.namespace === namespace)
    return found.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  }

  /** The objects that a continuation goes on in, and the name before which it goes on. */
  function resume(namespace: string, token: string): { rv: number; start: string; from: Stored[] } {
    const { rv, start } = decode(token)
    if (rv === LATEST) return { rv, start, from: all(namespace) }
    const from = snapshots.get(rv)
    if (from !== undefined) return { rv, start, from }
    throw new Refusal(
      410,
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results.',
      { continue: encode(LATEST, start) },
    )
  }

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
    list(namespace, { labelSelector, limit, continue: token }) {
      const selects = parseSelector(labelSelector)
      const { rv, start, from } = token
        ? resume(namespace, token)
        : { rv: revision, start: '', from: all(namespace) }
      const rest = from.filter(({ metadata }) => metadata.name >= start && selects(metadata.labels))
      const next = limit > 0 ? rest[limit] : undefined
      if (next === undefined) return { items: rest, resourceVersion: String(revision), continue: '' }
      if (rv !== LATEST) snapshots.set(rv, from)
      for (const oldest of snapshots.keys()) if (snapshots.size > SNAPSHOTS) snapshots.delete(oldest)
      return {
        items: rest.slice(0, limit),
        resourceVersion: String(rv === LATEST ? revision : rv),
        continue: encode(rv, next.metadata.name),
      }
    },
    expireContinuations: () => snapshots.clear(),
  }
}

/** So many lists can be under way at once; those that began before expire. */
const SNAPSHOTS = 20

/** The revision in a continuation that an answer 410 offers: the rest, as it is now. */
const LATEST = -1

function encode(rv: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv, start })).toString('base64url')
}

function decode(token: string): { rv: number; start: string } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
    if (Number.isInteger(rv) && typeof start === 'string') return { rv, start }
  } catch {
    // Said below.
  }
  throw badRequest('continue key is not valid')
}

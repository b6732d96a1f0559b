import type * as z from 'zod/mini'
import { ConflictError, StoreError } from '#shared/errors.ts'
import { findAccess, type KubernetesSettings } from '#shared/kubernetes/access.ts'
import {
  type Access,
  type Call,
  type ClientOptions,
  createKubernetesClient,
} from '#shared/kubernetes/client.ts'
import type { Log } from '#shared/log.ts'
import { type Clock, systemClock } from '#shared/time.ts'
import { createCache } from '#shared/state/store/cache.ts'
import { damagedState, parseDocument } from '#shared/state/document.ts'
import { byBytes, type Driver, type Version, type Versioned } from '#shared/state/store/driver.ts'
import { entriesOf, pack } from './configmap/contents.ts'
import { keyOf, objectNameOf } from './configmap/naming.ts'
import {
  type ConfigMap,
  configMap,
  configMapList,
  METADATA_LIST_ONLY,
  METADATA_ONLY,
  partialObject,
  partialObjectList,
} from './configmap/objects.ts'

const LABELS = { 'app.kubernetes.io/managed-by': 'ptp-watch', 'app.kubernetes.io/component': 'node-state' }
const SELECTOR = Object.entries(LABELS)
  .map(([label, value]) => `${label}=${value}`)
  .join(',')
/** Which node it is: whole in an annotation, which may hold any text, and hashed in a label, to select by. */
const NODE = 'ptp-watch/node'
const KEY = 'ptp-watch/key'

/** Lists are no part of answering a publisher: they may take longer than a call on its way. */
const LIST_MS = { attemptMs: 10_000, budgetMs: 15_000 }
/** Names asked for at once (about 500 bytes each), and documents (some kilobytes each, at most `maxBytes`). */
const NAMES_A_CALL = 500
const DOCUMENTS_A_CALL = 50
/** How often a list is restarted when its continuation expired, and a removal when somebody recreated the node. */
const RESTARTS = 3

export type ConfigMapOptions = ClientOptions & {
  /** Bytes of document and log together. A quarter of what the API server takes: etcd copies all of it at each write. */
  readonly maxBytes?: number
  /** Nodes whose logs are cached, so that a write need not read first. */
  readonly cachedLogs?: number
  /** Names asked for in one call of a list. */
  readonly namesACall?: number
}

/**
 * Keeps each node in a ConfigMap of `namespace` (the process's own where it is empty): the document under `state`,
 * the log under `log`. The version of a document is the `resourceVersion` of its ConfigMap, and every change is a
 * merge patch that names it, which the API server refuses when somebody else wrote first.
 *
 * Opening reads files and calls nobody. When document and log grow above `maxBytes` the oldest entries go before
 * their time; that is logged as an error where the broker has not had them.
 * @throws ConfigurationError where there is no way to an API server; see {@link findAccess}.
 */
export async function createConfigMapDriver(
  namespace: string,
  deps: { log: Log; kubernetes: KubernetesSettings | Access; clock?: Clock },
  options: ConfigMapOptions = {},
): Promise<Driver> {
  const { maxBytes = 256 * 1024, cachedLogs = 1000, namesACall = NAMES_A_CALL } = options
  const { log, kubernetes, clock = systemClock } = deps
  const access = await findAccess(kubernetes, { clock, log })
  const target = { resource: 'configmaps', namespace: namespace || (await access.namespace()) }
  const client = createKubernetesClient(access, { log }, options)
  const logs = createCache<{ readonly version: Version; readonly log: string }>(cachedLogs)

  const call = (rest: Omit<Call, 'resource' | 'namespace'>) => client.request({ ...target, ...rest })

  async function get(node: string): Promise<ConfigMap | undefined> {
    const name = objectNameOf(node)
    const answer = await call({ verb: 'get', name, expects: [404] })
    return answer.status === 404 ? undefined : parse(configMap, answer.body, `the ConfigMap ${name}`)
  }

  function read(node: string, { metadata, data }: ConfigMap): Versioned {
    const whose = metadata.annotations?.[NODE] ?? node
    if (data?.state === undefined || whose !== node) throw strange(node, metadata.name)
    const state = parseDocument(node, data.state)
    const version = metadata.resourceVersion
    logs.set(node, { version, log: data.log ?? '' })
    return { state, version }
  }

  function shown(node: string, found: ConfigMap): Versioned {
    try {
      return read(node, found)
    } catch (error) {
      return { state: damagedState(node, error), version: found.metadata.resourceVersion }
    }
  }

  function strange(node: string, name: string): StoreError {
    return new StoreError(
      `The ConfigMap ${name} in namespace ${target.namespace} has the name that node ${node} needs, but holds no PTP Watch state: delete it`,
      { retryable: false },
    )
  }

  /** The log of a document in a version that is about to be replaced. */
  async function logBefore(node: string, expected: Version): Promise<string> {
    const known = logs.get(node)
    if (known?.version === expected) return known.log
    const found = await get(node)
    if (found?.metadata.resourceVersion !== expected) throw new ConflictError(node)
    return found.data?.log ?? ''
  }

  async function send(node: string, expected: Version | undefined, data: Record<string, string>) {
    const name = objectNameOf(node)
    const metadata = { labels: { ...LABELS, [KEY]: keyOf(node) }, annotations: { [NODE]: node } }
    if (expected === undefined) {
      const value = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
      const body = { type: 'application/json', value }
      return call({ verb: 'create', accept: METADATA_ONLY, body, expects: [409] })
    }
    const value = { metadata: { resourceVersion: expected, ...metadata }, data }
    const body = { type: 'application/merge-patch+json', value }
    return call({ verb: 'patch', name, accept: METADATA_ONLY, body, expects: [404, 409] })
  }

  /** All nodes that are there now, in order, with their versions. */
  async function index(): Promise<[string, Version][]> {
    for (let restarts = 0; restarts <= RESTARTS; restarts += 1) {
      const names = await indexOnce()
      if (names !== undefined) return names.sort(([a], [b]) => byBytes(a, b))
    }
    throw new StoreError(`The list of nodes in namespace ${target.namespace} expired while it was being read`)
  }

  async function indexOnce(): Promise<[string, Version][] | undefined> {
    const names: [string, Version][] = []
    let next: string | undefined
    do {
      const answer = await call({
        verb: 'list',
        accept: METADATA_LIST_ONLY,
        query: {
          labelSelector: SELECTOR,
          limit: String(namesACall),
          ...(next !== undefined && { continue: next }),
        },
        expects: [410],
        ...LIST_MS,
      })
      if (answer.status === 410) return undefined
      const page = parse(partialObjectList, answer.body, 'the list of nodes')
      for (const { metadata } of page.items) {
        const node = metadata.annotations?.[NODE]
        if (node !== undefined && objectNameOf(node) === metadata.name)
          names.push([node, metadata.resourceVersion])
        else log.warn('ConfigMap has PTP Watch labels but belongs to no node', { configMap: metadata.name })
      }
      next = page.metadata?.continue || undefined
    } while (next !== undefined)
    return names
  }

  async function documents(nodes: readonly string[]): Promise<Versioned[]> {
    if (nodes.length === 0) return []
    const labelSelector = `${SELECTOR},${KEY} in (${nodes.map(keyOf).join(',')})`
    const answer = await call({ verb: 'list', query: { labelSelector }, ...LIST_MS })
    const { items } = parse(configMapList, answer.body, 'a list of documents')
    const byName = new Map(items.map((item) => [item.metadata.name, item]))
    // Those that are not among them were removed in between.
    return nodes.flatMap((node) => {
      const item = byName.get(objectNameOf(node))
      return item === undefined ? [] : [shown(node, item)]
    })
  }

  return {
    async read(node) {
      const found = await get(node)
      return found && read(node, found)
    },
    async write(node, write) {
      const { expected } = write
      const before = expected === undefined ? '' : await logBefore(node, expected)
      const { state, log: after, unsent } = pack(node, before, write, maxBytes)
      logs.delete(node)
      const answer = await send(node, expected, { state, ...(after !== before && { log: after }) })
      if (answer.status === 409 || answer.status === 404) throw new ConflictError(node)
      const { resourceVersion } = parse(partialObject, answer.body, 'what was written').metadata
      logs.set(node, { version: resourceVersion, log: after })
      if (unsent > 0) {
        log.error('log entries dropped before the broker had them: the ConfigMap is full', {
          node,
          dropped: unsent,
        })
      }
      return resourceVersion
    },
    async list({ limit, from = '' }) {
      const rest = (await index()).map(([node]) => node).filter((node) => byBytes(node, from) >= 0)
      const nodes: Versioned[] = []
      for (let start = 0; start < Math.min(limit, rest.length); start += DOCUMENTS_A_CALL) {
        const end = Math.min(limit, start + DOCUMENTS_A_CALL)
        nodes.push(...(await documents(rest.slice(start, end))))
      }
      return { nodes, next: rest[limit] }
    },
    versions: async () => new Map(await index()),
    async log(node, { after, limit }) {
      const entries = entriesOf(node, (await get(node))?.data?.log ?? '')
      return entries.filter(({ seq }) => seq > after).slice(0, limit)
    },
    async remove(node, expected) {
      const name = objectNameOf(node)
      for (let attempts = 0; attempts <= RESTARTS; attempts += 1) {
        const found = await get(node)
        if (found === undefined) return
        if (found.data?.state === undefined) throw strange(node, name)
        const { uid, resourceVersion } = found.metadata
        if (expected !== undefined && resourceVersion !== expected) throw new ConflictError(node)
        const value = { preconditions: { uid, ...(expected === undefined ? {} : { resourceVersion }) } }
        const body = { type: 'application/json', value }
        const answer = await call({ verb: 'delete', name, body, expects: [404, 409] })
        if (answer.status !== 409) return logs.delete(node)
      }
      throw new StoreError(`Node ${node} was recreated each time it was removed`)
    },
    async ping() {
      const query = { labelSelector: SELECTOR, limit: '1' }
      await call({ verb: 'list', accept: METADATA_LIST_ONLY, query })
    },
    close: () => client.close(),
  }
}

/** The API server's reply. The resources that we ask for always have this form. */
function parse<T>(schema: z.ZodMiniType<T>, body: unknown, what: string): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new StoreError(`The API server returned an unexpected reply instead of ${what}`, { retryable: false })
}

import * as z from 'zod/mini'
import { ConflictError, StoreError } from '#shared/errors.ts'
import { findAccess, type KubernetesSettings } from '#shared/kubernetes/access.ts'
import { type Access, type ClientOptions, createKubernetesClient } from '#shared/kubernetes/client.ts'
import { texts } from '#shared/kubernetes/objects.ts'
import type { Log } from '#shared/log.ts'
import { systemClock } from '#shared/time.ts'
import { createCache } from '#shared/state/store/cache.ts'
import { damagedState, parseDocument } from '#shared/state/document.ts'
import { byBytes, type Driver, type Version, type Versioned } from '#shared/state/store/driver.ts'
import { entriesOf, pack } from './configmap/contents.ts'
import { keyOf, objectNameOf } from './configmap/naming.ts'

const LABELS = { 'app.kubernetes.io/managed-by': 'ptp-watch', 'app.kubernetes.io/component': 'node-state' }
const SELECTOR = Object.entries(LABELS)
  .map(([label, value]) => `${label}=${value}`)
  .join(',')
/** The node's name: in full in an annotation, which may hold any text, and hashed in a label to select by. */
const NODE = 'ptp-watch/node'
const KEY = 'ptp-watch/key'

/** No publisher waits for a list, so it may take longer than a call. */
const LIST_MS = { attemptMs: 10_000, budgetMs: 30_000 }
/** How many names are requested at once (about 500 bytes each), and how many documents (some kilobytes each). */
const NAMES_A_CALL = '500'
const DOCUMENTS_A_CALL = 50
/** How often a removal is retried if the node keeps being recreated. */
const ATTEMPTS = 4
/** How many nodes have their logs cached, so that a write need not read first. */
const CACHED_LOGS = 1_000

const metadata = z.object({
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  annotations: texts,
})
const partialObject = z.object({ metadata })
const configMap = z.object({ metadata, data: texts })

type ConfigMap = z.infer<typeof configMap>

export type ConfigMapOptions = ClientOptions & {
  /** Bytes of document and log together. A quarter of the API server's limit: etcd copies all of it at each write. */
  readonly maxBytes?: number
}

/**
 * Keeps each node in a ConfigMap of `namespace` (if empty, the process's own): the document under `state`, the log
 * under `log`. The version of a document is the `resourceVersion` of its ConfigMap, and every change is a merge patch
 * with that version, which the API server rejects if somebody else wrote first.
 *
 * Opening reads files but makes no request. If document and log together outgrow `maxBytes`, the oldest entries are
 * dropped early; that is logged as an error if the broker has not had them.
 * @throws ConfigurationError if there is no way to an API server; see {@link findAccess}.
 */
export async function createConfigMapDriver(
  namespace: string,
  { log, kubernetes }: { log: Log; kubernetes: KubernetesSettings | Access },
  { maxBytes = 256 * 1024, ...options }: ConfigMapOptions = {},
): Promise<Driver> {
  const access = await findAccess(kubernetes, { clock: systemClock, log })
  const all = { resource: 'configmaps', namespace: namespace || (await access.namespace()) }
  const client = createKubernetesClient(access, { log }, options)
  const logs = createCache<{ readonly version: Version; readonly log: string }>(CACHED_LOGS)

  const get = (node: string) =>
    client.read({ ...all, verb: 'get', name: objectNameOf(node), expects: [404] }, configMap)

  function read(node: string, { metadata, data }: ConfigMap): Versioned {
    const whose = metadata.annotations?.[NODE] ?? node
    if (data?.state === undefined || whose !== node) throw strange(node)
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

  function strange(node: string): StoreError {
    return new StoreError(
      `The ConfigMap ${objectNameOf(node)} in namespace ${all.namespace} has the name that node ${node} needs, but holds no PTP Watch state: delete it`,
      { retryable: false },
    )
  }

  /** The log of a document that is about to be replaced. */
  async function logBefore(node: string, expected: Version): Promise<string> {
    const known = logs.get(node)
    if (known?.version === expected) return known.log
    const found = await get(node)
    if (found?.metadata.resourceVersion !== expected) throw new ConflictError(node)
    return found.data?.log ?? ''
  }

  /** All nodes in order, with their versions. */
  async function index(): Promise<[string, Version][]> {
    const query = { labelSelector: SELECTOR, limit: NAMES_A_CALL }
    const found = await client.list({ ...all, metadataOnly: true, query, ...LIST_MS }, partialObject)
    const names = found.flatMap(({ metadata }): [string, Version][] => {
      const node = metadata.annotations?.[NODE]
      if (node !== undefined && objectNameOf(node) === metadata.name)
        return [[node, metadata.resourceVersion]]
      log.warn('ConfigMap has PTP Watch labels but belongs to no node', { configMap: metadata.name })
      return []
    })
    return names.sort(([a], [b]) => byBytes(a, b))
  }

  async function documents(nodes: readonly string[]): Promise<Versioned[]> {
    const labelSelector = `${SELECTOR},${KEY} in (${nodes.map(keyOf).join(',')})`
    const found = await client.list({ ...all, query: { labelSelector }, ...LIST_MS }, configMap)
    const byName = new Map(found.map((item) => [item.metadata.name, item]))
    // The missing ones have been removed meanwhile.
    return nodes.flatMap((node) => {
      const item = byName.get(objectNameOf(node))
      return item === undefined ? [] : [shown(node, item)]
    })
  }

  return {
    async read(node, known) {
      const found = await get(node)
      return found && found.metadata.resourceVersion === known?.version ? known : found && read(node, found)
    },
    async write(node, write) {
      const { expected } = write
      const before = expected === undefined ? '' : await logBefore(node, expected)
      const { state, log: after, unsent } = pack(node, before, write, maxBytes, log)
      const data = { state, ...(after !== before && { log: after }) }
      const ours = { labels: { ...LABELS, [KEY]: keyOf(node) }, annotations: { [NODE]: node } }
      const name = objectNameOf(node)
      logs.delete(node)
      const written = await client.read(
        expected === undefined
          ? {
              ...{ ...all, verb: 'create', metadataOnly: true, expects: [409] },
              body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...ours }, data },
            }
          : {
              ...{ ...all, verb: 'patch', name, metadataOnly: true, expects: [404, 409] },
              body: { metadata: { resourceVersion: expected, ...ours }, data },
            },
        partialObject,
      )
      if (written === undefined) throw new ConflictError(node)
      const { resourceVersion } = written.metadata
      logs.set(node, { version: resourceVersion, log: after })
      if (unsent > 0) {
        const message = 'log entries dropped before the broker had them: the ConfigMap is full'
        log.error(message, { node, dropped: unsent })
      }
      return resourceVersion
    },
    async list({ limit, from = '' }) {
      const rest = (await index()).map(([node]) => node).filter((node) => byBytes(node, from) >= 0)
      const nodes: Versioned[] = []
      for (let start = 0; start < Math.min(limit, rest.length); start += DOCUMENTS_A_CALL) {
        nodes.push(...(await documents(rest.slice(start, Math.min(limit, start + DOCUMENTS_A_CALL)))))
      }
      return { nodes, next: rest[limit] }
    },
    versions: async () => new Map(await index()),
    async log(node, { after, limit }) {
      const entries = entriesOf(node, (await get(node))?.data?.log ?? '', log)
      return entries.filter(({ seq }) => seq > after).slice(0, limit)
    },
    async remove(node, expected) {
      for (let attempts = 0; attempts < ATTEMPTS; attempts += 1) {
        const found = await get(node)
        if (found === undefined) return
        if (found.data?.state === undefined) throw strange(node)
        const { name, uid, resourceVersion } = found.metadata
        if (expected !== undefined && resourceVersion !== expected) throw new ConflictError(node)
        const preconditions = { uid, ...(expected !== undefined && { resourceVersion }) }
        const call = { ...all, verb: 'delete', name, body: { preconditions }, expects: [404, 409] } as const
        if ((await client.request(call)).status !== 409) return logs.delete(node)
      }
      throw new StoreError(`Node ${node} was recreated each time it was removed`)
    },
    async ping() {
      await client.request({
        ...all,
        verb: 'list',
        metadataOnly: true,
        query: { labelSelector: SELECTOR, limit: '1' },
      })
    },
    close: () => client.close(),
  }
}

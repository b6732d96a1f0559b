import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { Call, KubernetesClient } from '#shared/kubernetes/client.ts'
import { orAbsent } from '#shared/kubernetes/objects.ts'
import { CONDITION_TYPES, type NodeCondition } from './conditions.ts'

const text = orAbsent(z.string())

/** With all that it has: what others wrote is sent back as it came. */
const taint = z.looseObject({ key: z.string(), effect: z.string() })

const condition = z.object({
  ...{ type: z.string(), status: z.string(), reason: text, message: text },
  ...{ lastHeartbeatTime: text, lastTransitionTime: text },
})

const object = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), resourceVersion: z.string() }),
  spec: orAbsent(z.object({ taints: orAbsent(z.array(taint)) })),
  status: orAbsent(z.object({ conditions: orAbsent(z.array(condition)) })),
})

export type Taint = z.infer<typeof taint>

/** A Node of the cluster, as far as we look at it. */
export type ClusterNode = {
  readonly name: string
  readonly uid: string
  /** What a patch has to name, so that nothing which came since is lost. */
  readonly version: string
  /** Ours alone. */
  readonly conditions: readonly NodeCondition[]
  readonly taints: readonly Taint[]
}

/** A Node has some 20 KB, most of it images. */
const NODES_A_CALL = '100'
/** Milliseconds for a page, and for the whole list. */
const LIST_MS = { attemptMs: 10_000, budgetMs: 60_000 }

/** What the API server takes as the name of a Node (RFC 1123): `..` would lead to another address. */
const NAME = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/

export type Nodes = ReturnType<typeof createNodes>

/** The Nodes of a cluster. Every method throws StoreError where the API server is out of reach or refuses. */
export function createNodes(client: KubernetesClient) {
  /** `conflict` where somebody wrote since the Node was read, `absent` where it is gone. */
  const patch = async ({ name, version }: ClusterNode, value: object, how: Partial<Call> = {}) => {
    const { status } = await client.request({
      ...{ verb: 'patch', resource: 'nodes', name, metadataOnly: true, expects: [404, 409], ...how },
      body: { metadata: { resourceVersion: version }, ...value },
    })
    return status === 404 ? 'absent' : status === 409 ? 'conflict' : 'done'
  }

  return {
    /** Undefined where the cluster has no Node of this name. */
    async get(name: string) {
      if (!NAME.test(name)) return undefined
      const found = await client.read({ verb: 'get', resource: 'nodes', name, expects: [404] }, object)
      return found && nodeOf(found)
    },
    /** All Nodes by name. */
    async list(signal?: AbortSignal): Promise<ReadonlyMap<string, ClusterNode>> {
      const query = { limit: NODES_A_CALL }
      const found = await client.list({ resource: 'nodes', query, signal, ...LIST_MS }, object)
      return new Map(found.map((item) => [item.metadata.name, nodeOf(item)]))
    },
    patchConditions: (node: ClusterNode, conditions: readonly NodeCondition[]) =>
      patch(
        node,
        { status: { conditions } },
        { subresource: 'status', bodyType: 'application/strategic-merge-patch+json' },
      ),
    /** Replaces the list of taints. */
    patchTaints: (node: ClusterNode, taints: readonly Taint[]) => patch(node, { spec: { taints } }),
  }
}

function nodeOf({ metadata, spec, status }: z.infer<typeof object>): ClusterNode {
  const conditions = status?.conditions ?? []
  return {
    name: metadata.name,
    uid: metadata.uid,
    version: metadata.resourceVersion,
    conditions: conditions.filter(({ type }) => CONDITION_TYPES.includes(type)),
    taints: spec?.taints ?? [],
  }
}

const CONFLICTS = 10

/**
 * Reads and writes once more where somebody else wrote in between, so many times. `what`: what is written, for people.
 * @throws StoreError where others always come first, and what `attempt` throws.
 */
export async function despiteOthers<T>(what: string, attempt: () => Promise<T | 'conflict'>): Promise<T> {
  for (let conflicts = 0; conflicts < CONFLICTS; conflicts += 1) {
    const result = await attempt()
    if (result !== 'conflict') return result
  }
  throw new StoreError(`Others changed ${what} again and again while it was being written`)
}

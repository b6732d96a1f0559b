import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { Call, KubernetesClient } from '#shared/kubernetes/client.ts'
import { orAbsent } from '#shared/kubernetes/objects.ts'
import { CONDITION_TYPES, type NodeCondition } from './conditions.ts'

const text = orAbsent(z.string())

/** With all its fields: what others wrote is sent back unchanged. */
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

/** The fields of a Node that we use. */
export type ClusterNode = {
  readonly name: string
  readonly uid: string
  /** Named in a patch, so that nothing written since is lost. */
  readonly version: string
  /** Ours alone. */
  readonly conditions: readonly NodeCondition[]
  readonly taints: readonly Taint[]
}

/** A Node has some 20 KB, mostly its list of images. */
const NODES_A_CALL = '100'
/** Limits for a page and for the whole list. Milliseconds. */
const LIST_MS = { attemptMs: 10_000, budgetMs: 60_000 }

/** A valid Node name (RFC 1123): `..` would lead to another URL. */
const NAME = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/

export type Nodes = ReturnType<typeof createNodes>

/** The Nodes of a cluster. Every method throws StoreError if the API server is unreachable or refuses. */
export function createNodes(client: KubernetesClient) {
  /** `conflict` if somebody wrote since the Node was read, `absent` if it is gone. */
  const patch = async ({ name, version }: ClusterNode, value: object, how: Partial<Call> = {}) => {
    const { status } = await client.request({
      ...{ verb: 'patch', resource: 'nodes', name, metadataOnly: true, expects: [404, 409], ...how },
      body: { metadata: { resourceVersion: version }, ...value },
    })
    return status === 404 ? 'absent' : status === 409 ? 'conflict' : 'done'
  }

  return {
    /** Undefined if the cluster has no Node of this name. */
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
 * Reads and writes again if somebody else wrote in between, a limited number of times. `what`: what is being written,
 * for people.
 * @throws StoreError if others always come first, and what `attempt` throws.
 */
export async function despiteOthers<T>(what: string, attempt: () => Promise<T | 'conflict'>): Promise<T> {
  for (let conflicts = 0; conflicts < CONFLICTS; conflicts += 1) {
    const result = await attempt()
    if (result !== 'conflict') return result
  }
  throw new StoreError(`Others kept changing ${what} while it was being written`)
}

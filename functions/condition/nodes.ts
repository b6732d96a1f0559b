import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import type { KubernetesClient } from '#shared/kubernetes/client.ts'
import { itemsOf, listMetadata, orAbsent } from '#shared/kubernetes/status.ts'
import { CONDITION_TYPES, type NodeCondition } from './conditions.ts'

const text = orAbsent(z.string())

/** With all that it has: what others wrote is sent back as it came. */
const taint = z.looseObject({ key: z.string(), effect: z.string() })

const object = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), resourceVersion: z.string() }),
  spec: orAbsent(z.object({ taints: orAbsent(z.array(taint)) })),
  status: orAbsent(
    z.object({
      conditions: orAbsent(
        z.array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: text,
            message: text,
            lastHeartbeatTime: text,
            lastTransitionTime: text,
          }),
        ),
      ),
    }),
  ),
})

const list = z.object({ metadata: listMetadata, items: itemsOf(object) })

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

/** What became of a patch: `conflict` where somebody wrote since the Node was read, `absent` where it is gone. */
export type Patched = 'done' | 'conflict' | 'absent'

export type Nodes = {
  /** Undefined where the cluster has no Node of this name. */
  get(name: string): Promise<ClusterNode | undefined>
  /** All Nodes by name. */
  list(signal?: AbortSignal): Promise<Map<string, ClusterNode>>
  patchConditions(node: ClusterNode, conditions: readonly NodeCondition[]): Promise<Patched>
  /** Replaces the list of taints. */
  patchTaints(node: ClusterNode, taints: readonly Taint[]): Promise<Patched>
}

/** A Node has some 20 KB, most of it images. */
const NODES_A_CALL = 100
/** How often a list is read again when its continuation expired. */
const RESTARTS = 3
/** Milliseconds for a page of a list. */
const LIST_MS = { attemptMs: 10_000, budgetMs: 20_000 }

/** What the API server takes as the name of a Node (RFC 1123): `..` would lead to another address. */
const NAME = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/

/** Of what was written nobody reads more than that it was. */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'

/** The Nodes of a cluster. Every method throws StoreError where the API server is out of reach or refuses. */
export function createNodes(client: Pick<KubernetesClient, 'request'>): Nodes {
  const listOnce = async (signal?: AbortSignal): Promise<Map<string, ClusterNode> | undefined> => {
    const nodes = new Map<string, ClusterNode>()
    let next: string | undefined
    do {
      signal?.throwIfAborted()
      const query = { limit: String(NODES_A_CALL), ...(next !== undefined && { continue: next }) }
      const answer = await client.request({
        verb: 'list',
        resource: 'nodes',
        query,
        expects: [410],
        ...LIST_MS,
      })
      if (answer.status === 410) return undefined
      const page = parse(list, answer.body, 'the list of Nodes')
      for (const item of page.items) nodes.set(item.metadata.name, nodeOf(item))
      next = page.metadata?.continue || undefined
    } while (next !== undefined)
    return nodes
  }

  const patch = async (
    { name, version }: ClusterNode,
    type: string,
    value: Readonly<Record<string, unknown>>,
    subresource?: string,
  ): Promise<Patched> => {
    const { status } = await client.request({
      ...{ verb: 'patch', resource: 'nodes', name, accept: METADATA_ONLY, expects: [404, 409] },
      ...(subresource !== undefined && { subresource }),
      body: { type, value: { metadata: { resourceVersion: version }, ...value } },
    })
    return status === 404 ? 'absent' : status === 409 ? 'conflict' : 'done'
  }

  return {
    async get(name) {
      if (!NAME.test(name)) return undefined
      const answer = await client.request({ verb: 'get', resource: 'nodes', name, expects: [404] })
      return answer.status === 404 ? undefined : nodeOf(parse(object, answer.body, `the Node ${name}`))
    },
    async list(signal) {
      for (let restarts = 0; restarts <= RESTARTS; restarts += 1) {
        const nodes = await listOnce(signal)
        if (nodes !== undefined) return nodes
      }
      throw new StoreError('The list of Nodes expired while it was being read')
    },
    patchConditions: (node, conditions) =>
      patch(node, 'application/strategic-merge-patch+json', { status: { conditions } }, 'status'),
    patchTaints: (node, taints) => patch(node, 'application/merge-patch+json', { spec: { taints } }),
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

function parse<T extends z.ZodMiniType>(schema: T, body: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new StoreError(`The API server sent ${what} in an unknown form: ${z.prettifyError(parsed.error)}`)
}

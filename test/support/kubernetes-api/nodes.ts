import * as z from 'zod/mini'
import { type Collection, createCollection, metadata, time } from './collection.ts'
import { badRequest, invalid } from './refusal.ts'

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

const taint = z.object({
  key: z.string(),
  value: z.optional(z.string()),
  effect: z.string(),
  timeAdded: z.optional(time),
})

const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.optional(z.string()),
  message: z.optional(z.string()),
  lastHeartbeatTime: z.nullish(time),
  lastTransitionTime: z.nullish(time),
})

const schema = z.object({
  apiVersion: z._default(z.literal('v1'), 'v1'),
  kind: z._default(z.literal('Node'), 'Node'),
  metadata,
  spec: z._default(z.object({ podCIDR: z.optional(z.string()), taints: z.optional(z.array(taint)) }), {}),
  status: z._default(z.object({ conditions: z._default(z.array(condition), []) }), { conditions: [] }),
})

export type Node = z.infer<typeof schema>

export type Nodes = Collection<Node> & {
  /** A Node that has just joined, with what the kubelet says of it. */
  add(name: string, labels?: Readonly<Record<string, string>>, taints?: Node['spec']['taints']): Node
}

/** The Nodes of a cluster. Conditions are merged by `type`, as they are declared; taints are one list. */
export function createNodes(): Nodes {
  const nodes = createCollection<Node>({
    resource: 'nodes',
    kind: 'Node',
    mergeKeys: { conditions: 'type' },
    parse(body) {
      const parsed = schema.safeParse(body)
      if (!parsed.success) throw badRequest(`unable to decode Node: ${z.prettifyError(parsed.error)}`)
      const { metadata, spec } = parsed.data
      const taints = spec.taints ?? []
      const odd = taints.find(({ effect }) => !EFFECTS.includes(effect))
      const keys = taints.map(({ key, effect }) => `${key}:${effect}`)
      if (odd !== undefined || new Set(keys).size < keys.length) {
        throw invalid(metadata.name, `metadata.taints: Invalid value: ${JSON.stringify(odd ?? keys)}`, 'Node')
      }
      return parsed.data
    },
    confine: (before, { metadata, spec, status }, subresource) =>
      subresource === 'status' ? { ...before, metadata, status } : { ...before, metadata, spec },
  })
  return {
    ...nodes,
    add: (name, labels = {}, taints = undefined) =>
      nodes.create('', {
        metadata: { name, labels },
        spec: { podCIDR: '10.0.0.0/24', ...(taints && { taints }) },
        status: { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }] },
      }),
  }
}

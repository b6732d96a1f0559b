import * as z from 'zod/mini'
import { type Collection, createCollection, metadata, time } from './collection.ts'
import { badRequest, invalid } from './refusal.ts'

const schema = z.object({
  apiVersion: z._default(z.literal('v1'), 'v1'),
  kind: z._default(z.literal('Event'), 'Event'),
  metadata,
  involvedObject: z.object({
    apiVersion: z.optional(z.string()),
    kind: z.string(),
    name: z.string(),
    namespace: z.optional(z.string()),
    uid: z.optional(z.string()),
  }),
  type: z.string(),
  reason: z.string(),
  message: z.string(),
  count: z.optional(z.int()),
  firstTimestamp: z.optional(time),
  lastTimestamp: z.optional(time),
  source: z.optional(z.object({ component: z.optional(z.string()) })),
  reportingComponent: z.optional(z.string()),
  reportingInstance: z.optional(z.string()),
})

export type KubernetesEvent = z.infer<typeof schema>
export type Events = Collection<KubernetesEvent>

/** The Events of a cluster, of the core API. Those of what belongs to no namespace are in `default`. */
export function createEvents(): Events {
  return createCollection<KubernetesEvent>({
    resource: 'events',
    kind: 'Event',
    mergeKeys: {},
    parse(body) {
      const parsed = schema.safeParse(body)
      if (!parsed.success) throw badRequest(`unable to decode Event: ${z.prettifyError(parsed.error)}`)
      const { metadata, involvedObject } = parsed.data
      if ((involvedObject.namespace ?? 'default') !== (metadata.namespace ?? 'default')) {
        throw invalid(
          metadata.name,
          `involvedObject.namespace: Invalid value: "${involvedObject.namespace ?? ''}": does not match event.namespace`,
          'Event',
        )
      }
      return parsed.data
    },
    confine: (_before, patched) => patched,
  })
}

import * as z from 'zod/mini'
import { texts } from './collection.ts'
import { badRequest, invalid } from './refusal.ts'

const schema = z.object({
  apiVersion: z.optional(z.literal('v1')),
  kind: z.optional(z.literal('ConfigMap')),
  metadata: z.object({
    name: z.string(),
    namespace: z.optional(z.string()),
    uid: z.optional(z.string()),
    resourceVersion: z.optional(z.string()),
    creationTimestamp: z.nullish(z.string()),
    labels: texts,
    annotations: texts,
    managedFields: z.optional(z.array(z.object({ manager: z.string() }))),
  }),
  data: texts,
})

export type ConfigMap = z.infer<typeof schema>

/** One that is stored: never changed, only replaced. */
export type Stored = ConfigMap & {
  readonly metadata: ConfigMap['metadata'] & {
    readonly namespace: string
    readonly uid: string
    readonly resourceVersion: string
  }
}

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const LABEL = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/
const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** What a request's body says, as a ConfigMap that the API server would take. */
export function parseConfigMap(body: unknown): ConfigMap {
  const parsed = schema.safeParse(body)
  if (!parsed.success)
    throw badRequest(`the object provided is unrecognized: ${z.prettifyError(parsed.error)}`)
  const { metadata, data } = parsed.data
  const { name, labels, annotations } = metadata
  const refuse = (why: string) => invalid(name, why)
  if (name.length > 253 || !SUBDOMAIN.test(name)) {
    throw refuse(`metadata.name: Invalid value: "${name}": a lowercase RFC 1123 subdomain must consist of …`)
  }
  for (const key of [...Object.keys(labels), ...Object.keys(annotations)]) {
    const [prefix, local = prefix ?? ''] = key.split(/\/(.*)/s)
    if (!LABEL_NAME.test(local) || (key.includes('/') && !SUBDOMAIN.test(prefix ?? ''))) {
      throw refuse(`metadata: Invalid value: "${key}": name part must consist of …`)
    }
  }
  for (const value of Object.values(labels)) {
    if (!LABEL.test(value)) throw refuse(`metadata.labels: Invalid value: "${value}"`)
  }
  if (bytes(annotations) > 256 * 1024) {
    throw refuse('metadata.annotations: Too long: may not be more than 262144 bytes')
  }
  for (const key of Object.keys(data)) {
    if (key.length > 253 || !/^[-._a-zA-Z0-9]+$/.test(key))
      throw refuse(`data[${key}]: Invalid value: "${key}"`)
  }
  const size = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value), 0)
  if (size > 1024 * 1024) throw refuse('[]: Too long: may not be more than 1048576 bytes')
  return parsed.data
}

function bytes(map: Readonly<Record<string, string>>): number {
  return Object.entries(map).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  )
}

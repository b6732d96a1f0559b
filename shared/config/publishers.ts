import * as z from 'zod/mini'
import { reasonOf } from '#shared/errors.ts'
import { BUDGET_LABEL, BUDGET_WORDS, budgetOf } from '#shared/holdover-budget.ts'
import { expectations, httpUrl, KUBERNETES_KEY, listed, text } from './values.ts'

const DIALECTS = ['auto', 'red-hat-v1', 'red-hat-v2', 'starlingx-v2'] as const

/** Node names are Kubernetes names (RFC 1123) except that case is kept: publishers write the host's own name. */
const NODE_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/
const NODE_NAME_WORDS = 'the name of a node: letters, digits, dots and dashes'

/** A DNS label (RFC 1123): it becomes a metric label and a CloudEvent attribute. */
const LABEL_KEY = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const LABEL_VALUE = /^(?=\S)[^\p{Cc}]{1,63}(?<=\S)$/u
const LABEL_VALUE_WORDS = 'a text of 1 to 63 characters'

/** What people group and filter nodes by: `site`, `region`, or anything else. */
const labels = z
  .record(
    z.string().check(z.regex(LABEL_KEY)),
    z.string(LABEL_VALUE_WORDS).check(z.regex(LABEL_VALUE, LABEL_VALUE_WORDS)),
    'an object of texts',
  )
  .check(({ value, issues }) => {
    const input = value[BUDGET_LABEL]
    if (input === undefined || budgetOf(input) !== undefined) return
    issues.push({ code: 'custom', message: BUDGET_WORDS, path: [BUDGET_LABEL], input })
  })

/** Whether a publisher's label may have this value. */
export function isLabel(key: string, value: string): boolean {
  return labels.safeParse({ [key]: value }).success
}

/** A label that a publisher gets from its Node: the Node's `label` becomes our `key`. */
export type NodeLabel = { readonly key: string; readonly label: string }

/** Reads NODE_LABELS. The error names the first invalid item. */
export const nodeLabels = text('a comma-separated list of <key>=<label of the Node>', (value) => {
  const items: NodeLabel[] = []
  for (const item of listed(value)) {
    const [, key = '', label = ''] = /^([^=]*?)\s*(?:=\s*(.*))?$/.exec(item) ?? []
    const shown = JSON.stringify(key)
    if (label === '') return new Error(`; ${shown} names no label of the Node`)
    if (!LABEL_KEY.test(key))
      return new Error(`; ${shown} is not a valid key (1 to 63 lower-case letters, digits and dashes)`)
    if (!KUBERNETES_KEY.test(label))
      return new Error(
        `; ${JSON.stringify(label)} is not a Kubernetes label, such as topology.kubernetes.io/zone`,
      )
    if (items.some((other) => other.key === key)) return new Error(`, each key once; ${shown} is there twice`)
    items.push({ key, label })
  }
  return items.length === 0 ? undefined : items
})

const shape = {
  /** The full name of the node, as its publisher writes it in addresses. */
  node: z.string(NODE_NAME_WORDS).check(z.regex(NODE_NAME, NODE_NAME_WORDS)),
  /** Where the publisher's API is, without `/api/…`. */
  url: httpUrl,
  dialect: z._default(z.enum(DIALECTS, `one of ${DIALECTS.join(', ')}`), 'auto'),
  /** The transport address of a v1 sidecar, used to flush a stuck one (protocol.md §2.6). */
  transport: z.optional(httpUrl),
  /** The URL of its `cne_…` metrics: `http://10.0.0.11:9091/metrics`. */
  metrics: z.optional(httpUrl),
  labels: z.optional(labels),
}

export const PUBLISHER_KEYS = Object.keys(shape)

export const publishers = z.array(
  z.strictObject(shape, `an object of ${PUBLISHER_KEYS.join(', ')}`),
  'a list of publishers',
)

expectations.add(publishers, {
  expected: 'a JSON list, the path of a JSON or YAML file, or kubernetes://<namespace>',
})

/** Whether a text is a valid node name. */
export function isNodeName(text: string): boolean {
  return NODE_NAME.test(text)
}

/** Publishers found by the Services of this namespace instead of being listed (publishers/discovery). */
export type DiscoveryConfig = { readonly namespace: string }

/**
 * Reads PUBLISHERS: `kubernetes://<namespace>`, JSON text, or the path of a JSON or YAML file. Returns a list that is
 * not validated yet, where to discover publishers, or a problem that completes the sentence "PUBLISHERS …".
 */
export async function readPublishers(
  text: string,
  readFile: (path: string) => Promise<string>,
): Promise<{ list?: unknown; discovery?: DiscoveryConfig; problem?: string }> {
  if (text.startsWith('kubernetes:')) {
    const [, namespace] = /^kubernetes:\/\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$/.exec(text) ?? []
    if (namespace !== undefined) return { discovery: { namespace } }
    const form = "kubernetes://<namespace>, the namespace of the publishers' Services"
    return { problem: `must be ${form}; found ${JSON.stringify(text.slice(0, 120))}` }
  }
  let complaint = 'is neither JSON nor a path'
  try {
    if (/^[[{"]/.test(text)) return { list: JSON.parse(text) }
    complaint = `names the file ${text}, which cannot be read`
    const contents = await readFile(text)
    const isYaml = /\.ya?ml$/.test(text)
    complaint = `names the file ${text}, which is not valid ${isYaml ? 'YAML' : 'JSON'}`
    // Loaded only for YAML: it would add some ten milliseconds to every start.
    return { list: isYaml ? (await import('yaml')).parse(contents) : JSON.parse(contents) }
  } catch (error) {
    return { problem: `${complaint}: ${reasonOf(error)}` }
  }
}

/** Sentences about nodes that appear twice: a schema of single entries cannot see that. */
export function duplicates(list: unknown): string[] {
  const nodes = z.array(z.catch(z.object({ node: z.optional(z.unknown()) }), {})).safeParse(list).data ?? []
  const first = new Map(nodes.map(({ node }, index) => [node, index] as const).reverse())
  return nodes.flatMap(({ node }, index) => {
    const before = first.get(node)
    if (typeof node !== 'string' || before === index) return []
    return [`PUBLISHERS[${index}].node must be unique; ${JSON.stringify(node)} is also PUBLISHERS[${before}]`]
  })
}

import * as z from 'zod/mini'
import { BUDGET_LABEL, BUDGET_WORDS, budgetOf } from '#shared/holdover-budget.ts'
import { expectations, listed } from './values.ts'

/** A DNS label (RFC 1123): it becomes the name of a metric's label and of a CloudEvent's attribute. */
const KEY = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const VALUE = /^(?=\S)[^\p{Cc}]{1,63}(?<=\S)$/u
const VALUE_WORDS = 'a text of 1 to 63 characters'

/** The key of a label of a Kubernetes object: `[prefix/]name`, the prefix a DNS name of up to 253 characters. */
const KUBERNETES_KEY =
  /^(?:(?=[^/]{1,253}\/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** What people group and filter nodes by: `site`, `region`, any other. */
export const labels = z
  .record(
    z.string().check(z.regex(KEY)),
    z.string(VALUE_WORDS).check(z.regex(VALUE, VALUE_WORDS)),
    'an object of texts',
  )
  .check(
    z.refine((all) => !(BUDGET_LABEL in all) || budgetOf(all[BUDGET_LABEL]) !== undefined, {
      message: BUDGET_WORDS,
      path: [BUDGET_LABEL],
    }),
  )

/** Whether a label of a publisher may have this value. */
export function isLabel(key: string, value: string): boolean {
  return labels.safeParse({ [key]: value }).success
}

/** Which labels of its Node a publisher gets, and as what: `label` of the Node becomes our `key`. */
export type NodeLabel = { readonly key: string; readonly label: string }

const NODE_LABELS_WORDS = 'a comma-separated list of <key>=<label of the Node>'

/** Reads NODE_LABELS. The first item that is wrong is named. */
export const nodeLabels = z.pipe(
  z.string(NODE_LABELS_WORDS),
  z.transform((value, context): NodeLabel[] => {
    const items = listed(value).map((item) => {
      const [key = '', ...label] = item.split('=')
      return { key: key.trim(), label: label.join('=').trim() }
    })
    const problem = problemIn(items)
    if (problem === undefined) return items
    context.issues.push({ code: 'custom', message: problem, input: value })
    return z.NEVER
  }),
)

expectations.add(nodeLabels, { expected: NODE_LABELS_WORDS })

function problemIn(items: readonly NodeLabel[]): string | undefined {
  if (items.length === 0) return NODE_LABELS_WORDS
  for (const [place, { key, label }] of items.entries()) {
    const item = JSON.stringify(key)
    if (label === '') return `${NODE_LABELS_WORDS}; ${item} names no label of the Node`
    if (!KEY.test(key))
      return `${NODE_LABELS_WORDS}; ${item} is not a valid key (1 to 63 lower-case letters, digits and dashes)`
    if (!KUBERNETES_KEY.test(label))
      return `${NODE_LABELS_WORDS}; ${JSON.stringify(label)} is not a Kubernetes label, such as topology.kubernetes.io/zone`
    if (items.findIndex((other) => other.key === key) < place)
      return `${NODE_LABELS_WORDS}, each key once; ${item} is there twice`
  }
  return undefined
}

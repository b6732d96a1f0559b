import * as z from 'zod/mini'
import { reasonOf } from '#shared/errors.ts'
import { HTTP_URL, httpUrl } from './values.ts'

const LABEL = 'a text of 1 to 63 characters'

export const DIALECTS = ['auto', 'red-hat-v1', 'red-hat-v2', 'starlingx-v2'] as const

/** Node names are Kubernetes names (RFC 1123) save that case is kept: publishers write what the host is called. */
const NODE_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/

/** A DNS label (RFC 1123): it becomes the name of a metric's label and of a CloudEvent's attribute. */
const LABEL_KEY = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const LABEL_VALUE = /^(?=\S)[^\p{Cc}]{1,63}(?<=\S)$/u

const publisher = z.strictObject({
  /** The full name of the node, as its publisher writes it in addresses. */
  node: z.string().check(z.regex(NODE_NAME, 'the name of a node: letters, digits, dots and dashes')),
  /** Where the publisher's API is, without `/api/…`. */
  url: httpUrl,
  dialect: z._default(z.enum(DIALECTS, `one of ${DIALECTS.join(', ')}`), 'auto'),
  /** The transport address of a v1 sidecar, by which a stuck one is asked to report (protocol.md §2.6). */
  transport: z.optional(httpUrl),
  /** Where `cne_…` figures are shown, whole: `http://10.0.0.11:9091/metrics`. */
  metrics: z.optional(httpUrl),
  /** What people group and filter nodes by: `site`, `region`, any other. */
  labels: z.optional(
    z.record(z.string().check(z.regex(LABEL_KEY)), z.string().check(z.regex(LABEL_VALUE, LABEL))),
  ),
})

export const publishers = z.array(publisher)

export type PublisherConfig = z.output<typeof publisher>

export const PUBLISHER_KEYS = Object.keys(publisher.shape)

/** Thrown for a PUBLISHERS text that is no list; its message ends the sentence "PUBLISHERS …". */
export class UnreadableError extends Error {}

/** Whether a text is what the configuration takes for the name of a node. */
export function isNodeName(text: string): boolean {
  return NODE_NAME.test(text)
}

/** Publishers that are not listed but found: by the Services of this namespace (publishers/discover.ts). */
export type DiscoveryConfig = { readonly namespace: string }

/**
 * What `kubernetes://<namespace>` asks for; undefined for a text of another form.
 * @throws UnreadableError where no namespace follows, which is a DNS label (RFC 1123).
 */
export function readDiscovery(text: string): DiscoveryConfig | undefined {
  if (!text.startsWith('kubernetes:')) return undefined
  const [, namespace] = /^kubernetes:\/\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$/.exec(text) ?? []
  if (namespace !== undefined) return { namespace }
  throw new UnreadableError(
    `must be kubernetes://<namespace>, that of the publishers' Services; found ${JSON.stringify(text.slice(0, 120))}`,
  )
}

/**
 * What PUBLISHERS holds, not yet checked: JSON text, or the contents of the JSON or YAML file that it names.
 * @throws UnreadableError if there is no such file or it does not parse.
 */
export async function readPublishers(
  text: string,
  readFile: (path: string) => Promise<string>,
): Promise<unknown> {
  if (/^[[{"]/.test(text)) return parsed(() => JSON.parse(text), 'is neither JSON nor a path')
  let contents: string
  try {
    contents = await readFile(text)
  } catch (error) {
    throw new UnreadableError(`names the file ${text}, which cannot be read: ${reasonOf(error)}`)
  }
  if (!/\.ya?ml$/.test(text)) return parsed(() => JSON.parse(contents), `names ${text}, which is no JSON`)
  // Loaded for a YAML file alone: it would cost every start some ten milliseconds.
  const { parse } = await import('yaml')
  return parsed(() => parse(contents), `names ${text}, which is no YAML`)
}

function parsed(parse: () => unknown, complaint: string): unknown {
  try {
    return parse()
  } catch (error) {
    throw new UnreadableError(`${complaint}: ${reasonOf(error)}`)
  }
}

/** Sentences about nodes that appear twice: no schema of one entry can see that. */
export function duplicates(list: unknown): string[] {
  if (!Array.isArray(list)) return []
  const seen = new Map<unknown, number>()
  const problems: string[] = []
  for (const [i, entry] of list.entries()) {
    const node: unknown =
      typeof entry === 'object' && entry !== null && 'node' in entry ? entry.node : undefined
    const first = seen.get(node)
    if (first === undefined) seen.set(node, i)
    else if (typeof node === 'string') {
      problems.push(
        `PUBLISHERS[${i}].node must be unique; ${JSON.stringify(node)} is also PUBLISHERS[${first}]`,
      )
    }
  }
  return problems
}

/** What an entry should have been, for an issue that carries no words of ours. */
export function expectedOfPublisher(path: readonly PropertyKey[]): string {
  const [, key, ...rest] = path
  if (path.length === 0) return 'a list of publishers'
  if (path.length === 1) return `an object of ${PUBLISHER_KEYS.join(', ')}`
  if (key === 'labels') return rest.length === 0 ? 'an object of texts' : LABEL
  return key === 'node' ? 'the name of a node' : HTTP_URL
}

import { createHash } from 'node:crypto'

const PREFIX = 'ptp-watch.'

/** A Kubernetes object name is a DNS subdomain of at most 253 characters (RFC 1123, section 2.1). */
const LONGEST = 253
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** What the names that had to be rewritten end in, so that no plain one may. */
const REWRITTEN = /--[0-9a-f]{32}$/

/** So much of a name that had to be rewritten stays readable. */
const READABLE = 60

/**
 * The name of the ConfigMap of a node: `ptp-watch.<node>` where that is a valid object name, else
 * `ptp-watch.<what is readable of it>--<hash>`. No two nodes have the same one.
 */
export function objectNameOf(node: string): string {
  const plain = PREFIX + node
  if (plain.length <= LONGEST && SUBDOMAIN.test(node) && !REWRITTEN.test(node)) return plain
  const readable = node
    .slice(0, READABLE)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return `${PREFIX}${readable || 'x'}--${keyOf(node)}`
}

/** A node as the value of a label, which may neither be long nor hold every character: 128 bits of SHA-256. */
export function keyOf(node: string): string {
  return createHash('sha256').update(node, 'utf8').digest('hex').slice(0, 32)
}

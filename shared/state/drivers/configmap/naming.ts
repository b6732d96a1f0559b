import { createHash } from 'node:crypto'

const PREFIX = 'ptp-watch.'

/** A Kubernetes object name is a DNS subdomain of at most 253 characters (RFC 1123, section 2.1). */
const LONGEST = 253
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** The end of every rewritten name; no name used as it is may look like this. */
const REWRITTEN = /--[0-9a-f]{32}$/

/** How much of a rewritten name stays readable. */
const READABLE = 60

/**
 * The name of a node's ConfigMap: `ptp-watch.<node>` if that is a valid object name, else `ptp-watch.<readable
 * part>--<hash>`. No two nodes share one.
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

/** A node as a label value, which is limited in length and characters: 128 bits of SHA-256. */
export function keyOf(node: string): string {
  return createHash('sha256').update(node, 'utf8').digest('hex').slice(0, 32)
}

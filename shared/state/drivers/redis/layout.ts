import { hash } from 'node:crypto'

/**
 * The keys of all nodes are spread over sixteen hash tags, so that each share has an index of its nodes in the same
 * slot of a cluster as the nodes themselves: one script changes document, log and index, whole or not at all.
 */
export const TAGS: readonly string[] = [...'0123456789abcdef']

/** The hash tag of a node: the first hexadecimal digit of the SHA-256 of its name. */
export function tagOf(node: string): string {
  return hash('sha256', node).slice(0, 1)
}

/** The sorted set of the nodes with a tag. All scores are 0, so they are in order of the bytes of their names. */
export function indexKey(tag: string): string {
  return `ptpwatch:{${tag}}:nodes`
}

/** The hash that holds a node's document; the name comes last, so that no name can be taken for another. */
export function stateKey(node: string): string {
  return `ptpwatch:{${tagOf(node)}}:state:${node}`
}

/** The stream that holds a node's log. */
export function logKey(node: string): string {
  return `ptpwatch:{${tagOf(node)}}:log:${node}`
}

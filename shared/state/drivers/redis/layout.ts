/**
 * The keys of all nodes are spread over sixteen hash tags, so that each share has an index of its nodes in the same
 * slot of a cluster as the nodes themselves: one script changes document, log and index, whole or not at all.
 */
export const TAGS: readonly string[] = [...'0123456789abcdef']

/** Where a node lies: the hash tag that all its keys share, and the keys. */
export type Place = {
  readonly tag: string
  /** The hash that holds the document; the name comes last, so that no name can be taken for another. */
  readonly state: string
  /** The stream that holds the log. */
  readonly log: string
  readonly index: string
}

/**
 * The tag of a node is the last hexadecimal digit of the sum of its name's UTF-16 codes. Names that are numbered, as
 * those of nodes are, come evenly that way.
 */
export function placeOf(node: string): Place {
  let sum = 0
  for (let index = 0; index < node.length; index += 1) sum += node.charCodeAt(index)
  const tag = (sum % TAGS.length).toString(TAGS.length)
  return {
    tag,
    state: statePrefix(tag) + node,
    log: `ptpwatch:{${tag}}:log:${node}`,
    index: indexKey(tag),
  }
}

/** What stands before the name of a node in the key of its document. */
export function statePrefix(tag: string): string {
  return `ptpwatch:{${tag}}:state:`
}

/** The sorted set of the nodes with a tag. All scores are 0, so they are in order of the bytes of their names. */
export function indexKey(tag: string): string {
  return `ptpwatch:{${tag}}:nodes`
}

import { parseDocument } from '../../documents.ts'
import type { Versioned } from '../../driver.ts'
import type { NodeState } from '../../node-state.ts'

/**
 * A document as the fields of its hash: `version`, `clock:0`, `clock:1` …, and `state`, which is all the rest. An event
 * changes one clock of several: the others are neither spelled nor sent again.
 */
export function fieldsOf(
  version: string,
  { clocks, ...rest }: NodeState,
  before: NodeState | undefined,
): string[] {
  const fields = ['version', version, 'state', JSON.stringify(rest)]
  for (const [index, clock] of clocks.entries()) {
    if (clock !== before?.clocks[index]) fields.push(`clock:${index}`, JSON.stringify(clock))
  }
  return fields
}

/**
 * The document of a hash, whose fields come in any order; undefined if there is none.
 * @throws StoreError, not retryable, if it is damaged.
 */
export function documentOf(node: string, reply: readonly string[]): Versioned | undefined {
  let version: string | undefined
  let rest: string | undefined
  const clocks: string[] = []
  for (let index = 0; index < reply.length; index += 2) {
    const [field = '', value = ''] = reply.slice(index, index + 2)
    if (field === 'version') version = value
    else if (field === 'state') rest = value
    else clocks[Number(field.slice('clock:'.length))] = value
  }
  if (version === undefined || rest === undefined) return undefined
  return { state: parseDocument(node, `${rest.slice(0, -1)},"clocks":[${clocks.join(',')}]}`), version }
}

import { parseDocument } from '../../documents.ts'
import type { Versioned, Write } from '../../driver.ts'

/**
 * What a write takes to the server, as PUT has it. A document is fields of its hash: `version`, `clock:0`, `clock:1` …,
 * and `state`, which is all the rest. An event changes one clock of several: the others are neither spelled nor sent
 * again.
 */
export function valuesOf(
  version: string,
  { state, entries, expected, before, trimThrough }: Write,
): string[] {
  const { clocks } = state
  const known = expected === undefined ? undefined : before?.clocks
  const values = [
    trimThrough > 0 ? `${trimThrough + 1}-0` : '',
    known !== undefined && known.length <= clocks.length ? '' : String(clocks.length),
    String(entries.length),
  ]
  for (const entry of entries) values.push(`${entry.seq}-0`, JSON.stringify(entry))
  values.push('version', version, 'state', JSON.stringify({ ...state, clocks: undefined }))
  for (const [index, clock] of clocks.entries()) {
    if (clock !== known?.[index]) values.push(`clock:${index}`, JSON.stringify(clock))
  }
  return values
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

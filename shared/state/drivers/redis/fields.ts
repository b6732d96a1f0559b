import { StoreError } from '#shared/errors.ts'
import type { Versioned, Write } from '#shared/state/store/driver.ts'
import { changedParts, FIRST_CLOCK, headOf, joinParts, REST } from '../parts.ts'

/**
 * What a write takes to the server, as PUT has it. A document is fields of its hash: `version`, `head`, `rest`, and
 * `clock:0`, `clock:1` …. An event changes the head and one clock of several: nothing else is spelled and sent again.
 */
export function valuesOf(
  version: string,
  { state, entries, expected, before, trimThrough }: Write,
): string[] {
  const known = expected === undefined ? undefined : before
  const { clocks } = state
  const values = [
    version,
    headOf(state),
    trimThrough > 0 ? `${trimThrough + 1}-0` : '',
    known !== undefined && known.clocks.length <= clocks.length ? '' : String(clocks.length),
    String(entries.length),
  ]
  for (const entry of entries) values.push(`${entry.seq}-0`, JSON.stringify(entry))
  for (const { place, text } of changedParts(state, known)) values.push(fieldOf(place), text)
  return values
}

function fieldOf(place: number): string {
  return place === REST ? 'rest' : `${CLOCK}${place - FIRST_CLOCK}`
}

const CLOCK = 'clock:'

/**
 * The document of a hash, whose fields come in any order; undefined if there is none.
 * @throws StoreError, not retryable, if it is damaged.
 */
export function documentOf(node: string, reply: readonly string[]): Versioned | undefined {
  let version: string | undefined
  let head: string | undefined
  let rest: string | undefined
  const clocks: string[] = []
  for (let index = 0; index < reply.length; index += 2) {
    const [field = '', value = ''] = reply.slice(index, index + 2)
    if (field === 'version') version = value
    else if (field === 'head') head = value
    else if (field === 'rest') rest = value
    else if (field.startsWith(CLOCK)) clocks[Number(field.slice(CLOCK.length))] = value
  }
  if (version === undefined) return undefined
  if (head === undefined || rest === undefined) {
    throw new StoreError(
      `The stored document of node ${node} lacks its head or its rest: it is damaged, or was written by another version (docs/redis.md)`,
      { retryable: false },
    )
  }
  return { state: joinParts(node, head, rest, clocks.join(',')), version }
}

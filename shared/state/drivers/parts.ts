import * as z from 'zod/mini'
import { parseDocument } from '#shared/state/store/documents.ts'
import { type NodeState, nodeState } from '#shared/state/document.ts'

/** A piece of a document: place 0 is the head, 1 what seldom changes, from 2 on there is a clock in each. */
export type Part = { readonly place: number; readonly text: string }

export const REST = 1
export const FIRST_CLOCK = 2

const APART: ReadonlySet<string> = new Set(['seq', 'forwarded', 'counters', 'announced', 'clocks'])
const SELDOM = Object.values(z.keyof(nodeState).def.entries).filter((field) => !APART.has(field))

/** What nearly every event changes, and what is as small: the log's end and what was made of it, and the counters. */
export function headOf({ seq, forwarded, counters, announced }: NodeState): string {
  return JSON.stringify({ seq, forwarded, counters, announced })
}

/** What else is not the same object as in the document before: of an event, one clock of several. */
export function changedParts(state: NodeState, before: NodeState | undefined): Part[] {
  const parts: Part[] = []
  if (before === undefined || SELDOM.some((field) => state[field] !== before[field])) {
    const rest = Object.fromEntries(SELDOM.map((field) => [field, state[field]]))
    parts.push({ place: REST, text: JSON.stringify(rest) })
  }
  state.clocks.forEach((clock, index) => {
    if (clock !== before?.clocks[index])
      parts.push({ place: FIRST_CLOCK + index, text: JSON.stringify(clock) })
  })
  return parts
}

/**
 * The document of these texts; `clocks` are joined by commas.
 * @throws StoreError, not retryable, if it is damaged.
 */
export function joinParts(node: string, head: string, rest: string, clocks: string): NodeState {
  return parseDocument(node, `${head.slice(0, -1)},${rest.slice(1, -1)},"clocks":[${clocks}]}`)
}

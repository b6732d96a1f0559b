import type { LogEntry } from '#shared/state/document.ts'

/** Entries of one node as this process has just written them, oldest first and without a gap. */
export type Fresh = { readonly incarnation: string; readonly entries: readonly LogEntry[] }

/** What was just written, by node, until it is sent: so that it need not be read back from the store first. */
export type FreshEntries = {
  add(node: string, fresh: Fresh): void
  /** Gives what there is of a node, and forgets it. */
  take(node: string): Fresh | undefined
}

/** How many entries of one node are kept. Where more wait, all are read from the store. */
const MOST = 16

export function createFreshEntries(): FreshEntries {
  const kept = new Map<string, Fresh>()
  return {
    add(node, { incarnation, entries }) {
      const before = kept.get(node)
      const goesOn =
        before?.incarnation === incarnation && before.entries.at(-1)?.seq === (entries[0]?.seq ?? 0) - 1
      const all = goesOn ? [...before.entries, ...entries] : entries
      if (all.length <= MOST) kept.set(node, { incarnation, entries: all })
      else kept.delete(node)
    },
    take(node) {
      const fresh = kept.get(node)
      kept.delete(node)
      return fresh
    },
  }
}

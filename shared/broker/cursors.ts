import type { NodeState } from '#shared/state/document.ts'

/**
 * Up to which number the sink has the log of each node, by what this process knows: for a moment it is ahead of
 * `forwarded` in the store, and is forgotten when the store has caught up (design.md §3).
 */
export type Cursors = {
  /** Where sending goes on in a document. A document without `forwarded` has nothing that waits. */
  of(state: NodeState): number
  /** The sink has more of the log than the document holds: either the document is old, or the store was set back. */
  isAhead(state: NodeState): boolean
  advance(state: Pick<NodeState, 'node' | 'incarnation'>, sent: number): void
  /** The store has it up to this number. */
  written(state: Pick<NodeState, 'node' | 'incarnation'>, forwarded: number): void
  forget(node: string): void
  /** The nodes of which this process knows more than the store. */
  nodes(): string[]
}

export function createCursors(): Cursors {
  const known = new Map<string, { incarnation: string; sent: number }>()
  const ownOf = ({ node, incarnation }: Pick<NodeState, 'node' | 'incarnation'>): number => {
    const own = known.get(node)
    return own?.incarnation === incarnation ? own.sent : 0
  }
  return {
    of(state) {
      const own = ownOf(state)
      return Math.max(state.forwarded ?? state.seq, own > state.seq ? 0 : own)
    },
    isAhead: (state) => ownOf(state) > state.seq,
    advance(state, sent) {
      if (ownOf(state) < sent) known.set(state.node, { incarnation: state.incarnation, sent })
    },
    written(state, forwarded) {
      const own = known.get(state.node)
      if (own === undefined) return
      if (own.incarnation !== state.incarnation || own.sent <= forwarded) known.delete(state.node)
    },
    forget: (node) => void known.delete(node),
    nodes: () => [...known.keys()],
  }
}

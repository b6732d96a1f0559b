import type { Counters, NewEntry, NodeState } from '#shared/state/document.ts'

/** What a change makes of the document it was shown. */
export type Outcome<T> = {
  /** The next document, or undefined where it stays as it is. Its `seq` and `counters` are left to the store. */
  readonly state?: NodeState | undefined
  /** New lines of the log, in order; the store numbers them. They need a document: this one, or the current. */
  readonly entries?: readonly NewEntry[]
  /** Added to the stored counters: with `state` at once, alone at the next write or after a pause. */
  readonly counters?: Partial<Counters> | undefined
  /**
   * An outcome without `state` that holds whatever others have written since (a duplicate of what is stored).
   * Without it the store shows the change a document read after the call before it believes "nothing to do".
   */
  readonly certain?: boolean | undefined
  readonly result: T
}

/** Pure: may be called again with a newer document. `current` must not be modified. */
export type Change<T> = (current: NodeState | undefined) => Outcome<T>

/** Whether a node with this document is to be removed. Pure, as a {@link Change} is. */
export type Decide = (current: NodeState) => boolean

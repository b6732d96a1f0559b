import type { Page, Versioned } from './driver.ts'
import type { Counters, LogEntry, NewEntry, NodeState } from './node-state.ts'

/** What a change makes of the document it was shown. */
export type Outcome<T> = {
  /** The next document, or undefined where it stays as it is. Its `seq` and `counters` are left to the store. */
  readonly state?: NodeState | undefined
  /** New lines of the log, in order; the store numbers them. */
  readonly entries?: readonly NewEntry[]
  /** Added to the stored counters: with `state` at once, alone at the next write or after a pause. */
  readonly counters?: Partial<Counters>
  /**
   * An outcome without `state` that holds whatever others have written since (a duplicate of what is stored).
   * Without it the store shows the change a document read after the call before it believes "nothing to do".
   */
  readonly certain?: boolean
  readonly result: T
}

/** Pure: may be called again with a newer document. `current` must not be modified. */
export type Change<T> = (current: NodeState | undefined) => Outcome<T>

/** The store that functions use: a driver behind group commit, conflict handling and trimming (design.md §4). */
export type Store = {
  /**
   * Serialises per node within the process, merges what waits for one node into one write, and resolves when
   * the write that holds the change is done. Re-reads on a conflict and applies the change anew.
   * `fresh`: shows the change a document that was read after this call.
   * @throws StoreError when the store is out of reach.
   */
  update<T>(node: string, change: Change<T>, options?: { fresh?: boolean }): Promise<T>
  read(node: string): Promise<NodeState | undefined>
  list(page: { limit: number; from?: string | undefined }): Promise<Page>
  log(node: string, range: { after: number; limit: number }): Promise<LogEntry[]>
  remove(node: string): Promise<void>
  ping(): Promise<void>
  /** Writes what was coalesced, then closes the driver. */
  close(): Promise<void>
}

export type { Page, Versioned }

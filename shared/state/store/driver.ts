import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { type LogEntry, type NodeState, parseEntry } from '#shared/state/document.ts'

/** Only meaningful to the driver that created it. */
export type Version = string

export type Versioned = { readonly state: NodeState; readonly version: Version }

/** One atomic change of one node. */
export type Write = {
  /** The driver may keep it: nobody modifies it any more. */
  readonly state: NodeState
  /** Appended to the node's log in the same atomic change; numbered without a gap up to `state.seq`. */
  readonly entries: readonly LogEntry[]
  /** The version that the change was computed from; undefined if the node had no document. */
  readonly expected: Version | undefined
  /** Log entries up to this number, including new ones, are dropped in the same change; 0 drops none. */
  readonly trimThrough: number
}

export type PageRange = { readonly limit: number; readonly from?: string | undefined }

export type Page = {
  readonly nodes: readonly Versioned[]
  /** Where the next page begins; undefined on the last one. */
  readonly next: string | undefined
}

/**
 * Where documents live. A driver is a function of its options that returns this; whatever drivers would have in common
 * is in `store.ts`. Nodes are ordered by the UTF-8 bytes of their names; names are well-formed Unicode.
 *
 * Every method throws `StoreError` if the store is unreachable; `write` and `remove` throw `ConflictError` if the
 * version is not the expected one, and then have changed nothing.
 */
export type Driver = {
  /** The newest document; `known` itself, without reading it again, if it is still the newest. */
  read(node: string, known?: Versioned): Promise<Versioned | undefined>
  write(node: string, write: Write): Promise<Version>
  /**
   * At most `limit` (1 or more) documents from the position `from`, which was `next` of the page before. A node that
   * exists from the first page to the last is on exactly one of them. A document that cannot be read is shown as {@link
   * damagedState}.
   */
  list(page: PageRange): Promise<Page>
  /** The names of all nodes in order, each with the version of its document. */
  versions(): Promise<Map<string, Version>>
  /** Entries with a number above `after`, oldest first. */
  log(node: string, range: { after: number; limit: number }): Promise<LogEntry[]>
  /** Removes a document, if it has the expected version (where given), and its log; does nothing if there is none. */
  remove(node: string, expected?: Version): Promise<void>
  ping(): Promise<void>
  close(): Promise<void>
}

/** Compares node names. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/**
 * Parses a node's log entries. Unreadable ones are logged and left out: a single one must not hide the others, or block
 * writing and forwarding. The gap in the numbers shows that they are missing.
 */
export function parseEntries(node: string, texts: readonly string[], log: Log): LogEntry[] {
  const problems: string[] = []
  const entries = texts.flatMap((text) => {
    try {
      return parseEntry(node, text)
    } catch (error) {
      problems.push(reasonOf(error))
      return []
    }
  })
  const [problem] = problems
  if (problem !== undefined)
    log.error('stored log entries cannot be read; left out', { node, count: problems.length, problem })
  return entries
}

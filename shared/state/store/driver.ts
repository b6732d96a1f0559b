import { reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { type LogEntry, type NodeState, parseEntry } from '#shared/state/document.ts'

/** Opaque to all but the driver that made it. */
export type Version = string

export type Versioned = { readonly state: NodeState; readonly version: Version }

/** One atomic change of one node. */
export type Write = {
  /** A driver may keep it: nobody modifies it any more. */
  readonly state: NodeState
  /** Appended to the node's log in the same atomic change; numbered without a gap up to `state.seq`. */
  readonly entries: readonly LogEntry[]
  /** The version that the change was computed from; undefined if the node had no document. */
  readonly expected: Version | undefined
  /** Log entries with a number up to this one, new ones too, are dropped in the same change; 0 drops none. */
  readonly trimThrough: number
}

export type PageRange = { readonly limit: number; readonly from?: string | undefined }

export type Page = {
  readonly nodes: readonly Versioned[]
  /** Where the next page begins; undefined on the last one. */
  readonly next: string | undefined
}

/**
 * Where documents live. A driver is a function of its options that returns this; what drivers would repeat sits
 * in `store.ts`. Nodes come in order of the bytes of their names in UTF-8; names are well-formed Unicode.
 *
 * Every method throws `StoreError` when the store is out of reach; `write` and `remove` throw
 * `ConflictError` when the version is not the expected one, and have then changed nothing.
 */
export type Driver = {
  /** The newest document; `known` itself, without reading it again, if it is still the newest. */
  read(node: string, known?: Versioned): Promise<Versioned | undefined>
  write(node: string, write: Write): Promise<Version>
  /**
   * At most `limit` (1 or more) documents from the position `from`, which came as `next` of the page before.
   * A node that is there from the first page to the last is on exactly one of them. Of a document that cannot be read
   * there is {@link damagedState}.
   */
  list(page: PageRange): Promise<Page>
  /** The names of all nodes, in their order, each with the version of its document. */
  versions(): Promise<Map<string, Version>>
  /** Entries with a number above `after`, oldest first. */
  log(node: string, range: { after: number; limit: number }): Promise<LogEntry[]>
  /** Removes the document, of that version where one is expected, and its log; nothing happens if there is none. */
  remove(node: string, expected?: Version): Promise<void>
  ping(): Promise<void>
  close(): Promise<void>
}

/** The order of nodes. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/**
 * Log entries of a node from their JSON. Those that cannot be read are logged and left out: one of them must not hide all
 * others, or hold up what is to be written or sent. The gap in the numbers shows that they are missing.
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

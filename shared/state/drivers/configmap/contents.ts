import { StoreError } from '#shared/errors.ts'
import { parseEntry } from '#shared/state/document.ts'
import type { Write } from '#shared/state/store/driver.ts'
import type { LogEntry } from '#shared/state/document.ts'

/** The texts that one write leaves in a ConfigMap: the document, and the log with an entry on each line. */
export type Contents = {
  readonly state: string
  readonly log: string
  /** How many entries were dropped for lack of space before the broker had them. */
  readonly unsent: number
}

/**
 * What a write makes of a ConfigMap whose log was `before`, within `maxBytes` for document and log together: the oldest
 * entries make room.
 * @throws StoreError, not retryable, if the document alone is larger, or the stored log is damaged.
 */
export function pack(node: string, before: string, write: Write, maxBytes: number): Contents {
  const { forwarded = Number.POSITIVE_INFINITY } = write.state
  const state = JSON.stringify(write.state)
  let room = maxBytes - Buffer.byteLength(state)
  if (room < 0) {
    throw new StoreError(
      `The document of node ${node} has ${maxBytes - room} bytes; a ConfigMap may hold ${maxBytes}`,
      { retryable: false },
    )
  }
  const entries = [...entriesOf(node, before), ...write.entries].filter(({ seq }) => seq > write.trimThrough)
  const lines: string[] = []
  let unsent = 0
  for (const entry of entries.toReversed()) {
    const line = `${JSON.stringify(entry)}\n`
    room -= Buffer.byteLength(line)
    if (room >= 0) lines.push(line)
    else if (entry.seq > forwarded) unsent += 1
  }
  return { state, log: lines.reverse().join(''), unsent }
}

/** The entries of a stored log, oldest first. @throws StoreError, not retryable, if it is damaged. */
export function entriesOf(node: string, log: string): LogEntry[] {
  const lines = log.split('\n').filter((line) => line !== '')
  return lines.map((line) => parseEntry(node, line))
}

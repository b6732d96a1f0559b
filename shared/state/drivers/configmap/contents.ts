import { StoreError } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { parseEntries, type Write } from '#shared/state/store/driver.ts'
import type { LogEntry } from '#shared/state/document.ts'

/**
 * The new texts of a ConfigMap after a write: its document, and its log (`before`) with one entry per line, within
 * `maxBytes` for both. The oldest entries make room; `unsent` counts those that the broker has not had.
 * @throws StoreError, not retryable, if the document alone is larger.
 */
export function pack(node: string, before: string, write: Write, maxBytes: number, log: Log) {
  const { forwarded = Number.POSITIVE_INFINITY } = write.state
  const state = JSON.stringify(write.state)
  let room = maxBytes - Buffer.byteLength(state)
  if (room < 0) {
    const problem = `The document of node ${node} has ${maxBytes - room} bytes; a ConfigMap may hold ${maxBytes}`
    throw new StoreError(problem, { retryable: false })
  }
  const entries = [...entriesOf(node, before, log), ...write.entries].filter(
    ({ seq }) => seq > write.trimThrough,
  )
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

/** The entries of a stored log, oldest first. */
export function entriesOf(node: string, stored: string, log: Log): LogEntry[] {
  const lines = stored.split('\n').filter((line) => line !== '')
  return parseEntries(node, lines, log)
}

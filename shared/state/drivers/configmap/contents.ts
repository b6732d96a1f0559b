import { StoreError } from '#shared/errors.ts'
import type { Write } from '#shared/state/store/driver.ts'

/** The texts that one write leaves in a ConfigMap. */
export type Contents = {
  /** The document: one JSON text. */
  readonly state: string
  /** The log: one JSON text a line, each beginning with its `seq`, oldest first. */
  readonly log: string
  /** How many entries that the broker has never had were dropped for want of room. */
  readonly unsent: number
}

/**
 * What a write makes of a ConfigMap whose log was `before`, within `maxBytes` for document and log together. The
 * oldest entries make room, as many as it takes.
 * @throws StoreError, not retryable, if the document alone is larger, or the log that is stored is damaged.
 */
export function pack(node: string, before: string, write: Write, maxBytes: number): Contents {
  const state = JSON.stringify(write.state)
  let room = maxBytes - Buffer.byteLength(state)
  if (room < 0) {
    throw new StoreError(
      `The document of node ${node} has ${maxBytes - room} bytes, a ConfigMap is given ${maxBytes}`,
      { retryable: false },
    )
  }
  const added = write.entries.map(({ seq, ...rest }) => JSON.stringify({ seq, ...rest }))
  const kept = [...linesOf(before), ...added].filter((line) => seqOf(node, line) > write.trimThrough)

  let first = kept.length
  while (first > 0) {
    room -= Buffer.byteLength(kept[first - 1] ?? '') + 1
    if (room < 0) break
    first -= 1
  }
  const { forwarded } = write.state
  const unsent = kept
    .slice(0, first)
    .filter((line) => forwarded !== undefined && seqOf(node, line) > forwarded)
  return {
    state,
    log: kept
      .slice(first)
      .map((line) => `${line}\n`)
      .join(''),
    unsent: unsent.length,
  }
}

/** The lines of entries with a number above `after`, oldest first, at most `limit`. */
export function linesAfter(
  node: string,
  log: string,
  { after, limit }: { after: number; limit: number },
): string[] {
  return linesOf(log)
    .filter((line) => seqOf(node, line) > after)
    .slice(0, limit)
}

function linesOf(log: string): string[] {
  return log.split('\n').filter((line) => line !== '')
}

function seqOf(node: string, line: string): number {
  const seq = /^\{"seq":(\d+)[,}]/.exec(line)?.[1]
  if (seq === undefined) {
    throw new StoreError(`A stored log entry of node ${node} does not begin with its number`, {
      retryable: false,
    })
  }
  return Number(seq)
}

import { ConflictError } from '#shared/errors.ts'
import { documentText, parseDocument, parseEntry } from '../documents.ts'
import type { Driver, Version } from '../driver.ts'

type Row = { version: Version; state: string; log: Map<number, string> }

/**
 * Keeps everything in the memory of this process, for tests and benches. Documents are kept as JSON, so that
 * nobody shares an object with the store and whatever other drivers would lose in writing is lost here too.
 */
export function createMemoryDriver(): Driver {
  const rows = new Map<string, Row>()
  let revision = 0
  let sorted: string[] | undefined

  return {
    async read(node) {
      const row = rows.get(node)
      return row && { state: parseDocument(node, row.state), version: row.version }
    },
    async write(node, { state, entries, expected, trimThrough }) {
      const row = rows.get(node)
      if (row?.version !== expected) throw new ConflictError(node)
      const log = row?.log ?? new Map<number, string>()
      const next = { version: String(++revision), state: documentText(state), log }
      for (const entry of entries) log.set(entry.seq, JSON.stringify(entry))
      // Entries were added in the order of their numbers, which is the order in which a Map yields them.
      for (const seq of log.keys()) {
        if (seq > trimThrough) break
        log.delete(seq)
      }
      if (row === undefined) sorted = undefined
      rows.set(node, next)
      return next.version
    },
    async list({ limit, from }) {
      sorted ??= [...rows.keys()].sort(byBytes)
      const start = from === undefined ? 0 : sorted.findIndex((node) => byBytes(node, from) >= 0)
      if (start < 0) return { nodes: [], next: undefined }
      const nodes = sorted.slice(start, start + limit).flatMap((node) => {
        const row = rows.get(node)
        return row ? [{ state: parseDocument(node, row.state), version: row.version }] : []
      })
      return { nodes, next: sorted[start + limit] }
    },
    async log(node, { after, limit }) {
      const texts = [...(rows.get(node)?.log ?? [])].filter(([seq]) => seq > after).slice(0, limit)
      return texts.map(([, text]) => parseEntry(node, text))
    },
    async remove(node) {
      if (rows.delete(node)) sorted = undefined
    },
    async ping() {},
    async close() {},
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

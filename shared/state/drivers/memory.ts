import { ConflictError } from '#shared/errors.ts'
import { parseDocument, parseEntry } from '#shared/state/document.ts'
import type { Driver, Version } from '#shared/state/store/driver.ts'
import type { LogEntry, NodeState } from '#shared/state/document.ts'

type Row = { version: Version; state: NodeState; log: LogEntry[] }

/**
 * Keeps everything in the memory of this process, for tests and benches. What is read is spelled as JSON and parsed,
 * so that whatever other drivers would lose in writing is lost here too.
 */
export function createMemoryDriver(): Driver {
  const rows = new Map<string, Row>()
  let revision = 0
  let sorted: string[] | undefined

  return {
    async read(node) {
      const row = rows.get(node)
      return row && { state: copyOf(row.state), version: row.version }
    },
    async write(node, { state, entries, expected, trimThrough }) {
      const row = rows.get(node)
      if (row?.version !== expected) throw new ConflictError(node)
      const log = row?.log ?? []
      log.push(...entries)
      if (trimThrough > 0) {
        const kept = log.findIndex(({ seq }) => seq > trimThrough)
        log.splice(0, kept < 0 ? log.length : kept)
      }
      const version = String(++revision)
      if (row === undefined) sorted = undefined
      rows.set(node, { version, state, log })
      return version
    },
    async list({ limit, from }) {
      sorted ??= [...rows.keys()].sort(byBytes)
      const start = from === undefined ? 0 : sorted.findIndex((node) => byBytes(node, from) >= 0)
      if (start < 0) return { nodes: [], next: undefined }
      const nodes = sorted.slice(start, start + limit).flatMap((node) => {
        const row = rows.get(node)
        return row ? [{ state: copyOf(row.state), version: row.version }] : []
      })
      return { nodes, next: sorted[start + limit] }
    },
    async names() {
      sorted ??= [...rows.keys()].sort(byBytes)
      return [...sorted]
    },
    async log(node, { after, limit }) {
      const entries = (rows.get(node)?.log ?? []).filter(({ seq }) => seq > after).slice(0, limit)
      return entries.map((entry) => parseEntry(node, JSON.stringify(entry)))
    },
    async remove(node, expected) {
      const row = rows.get(node)
      if (expected !== undefined && row !== undefined && row.version !== expected)
        throw new ConflictError(node)
      if (rows.delete(node)) sorted = undefined
    },
    async ping() {},
    async close() {},
  }
}

function copyOf(state: NodeState): NodeState {
  return parseDocument(state.node, JSON.stringify(state))
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

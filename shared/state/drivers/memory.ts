import { ConflictError } from '#shared/errors.ts'
import type { Driver, Version, Versioned } from '#shared/state/store/driver.ts'
import { type LogEntry, type NodeState, parseDocument, parseEntry } from '#shared/state/document.ts'

type Row = { readonly version: Version; readonly state: NodeState; readonly log: LogEntry[] }

/**
 * Keeps everything in the memory of this process, for tests and benches. Reads go through JSON, so that whatever other
 * drivers would lose is lost here too.
 */
export function createMemoryDriver(): Driver {
  const rows = new Map<string, Row>()
  let revision = 0
  let sorted: string[] | undefined

  function read(node: string): Versioned | undefined {
    const row = rows.get(node)
    return row && { state: parseDocument(node, JSON.stringify(row.state)), version: row.version }
  }

  function names(): string[] {
    sorted ??= [...rows.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    return sorted
  }

  return {
    read: async (node) => read(node),
    async write(node, { state, entries, expected, trimThrough }) {
      const row = rows.get(node)
      if (row?.version !== expected) throw new ConflictError(node)
      const log = row?.log ?? []
      log.push(...entries)
      const kept = trimThrough === 0 ? log : log.filter(({ seq }) => seq > trimThrough)
      const version = String(++revision)
      if (row === undefined) sorted = undefined
      rows.set(node, { version, state, log: kept })
      return version
    },
    async list({ limit, from = '' }) {
      const rest = names().filter((node) => Buffer.compare(Buffer.from(node), Buffer.from(from)) >= 0)
      return { nodes: rest.slice(0, limit).flatMap((node) => read(node) ?? []), next: rest[limit] }
    },
    versions: async () => new Map(names().map((node) => [node, rows.get(node)?.version ?? ''])),
    async log(node, { after, limit }) {
      const entries = (rows.get(node)?.log ?? []).filter(({ seq }) => seq > after).slice(0, limit)
      return entries.map((entry) => parseEntry(node, JSON.stringify(entry)))
    },
    async remove(node, expected) {
      const version = rows.get(node)?.version
      if (expected !== undefined && version !== undefined && version !== expected)
        throw new ConflictError(node)
      if (rows.delete(node)) sorted = undefined
    },
    async ping() {},
    async close() {},
  }
}

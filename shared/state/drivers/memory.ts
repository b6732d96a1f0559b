import { ConflictError } from '#shared/errors.ts'
import { type LogEntry, parseDocument, parseEntry } from '#shared/state/document.ts'
import { byBytes, type Driver, type Versioned } from '#shared/state/store/driver.ts'

/**
 * Keeps everything in this process's memory, for tests and benches. Reads go through JSON, so that it loses whatever
 * other drivers would lose.
 */
export function createMemoryDriver(): Driver {
  const rows = new Map<string, Versioned & { readonly log: LogEntry[] }>()
  let revision = 0
  const names = () => [...rows.keys()].sort(byBytes)

  function read(node: string): Versioned | undefined {
    const row = rows.get(node)
    return row && { state: parseDocument(node, JSON.stringify(row.state)), version: row.version }
  }

  return {
    read: async (node, known) =>
      known !== undefined && known.version === rows.get(node)?.version ? known : read(node),
    async write(node, { state, entries, expected, trimThrough }) {
      const row = rows.get(node)
      if (row?.version !== expected) throw new ConflictError(node)
      const log = row?.log ?? []
      log.push(...entries)
      const kept = trimThrough === 0 ? log : log.filter(({ seq }) => seq > trimThrough)
      const version = String(++revision)
      rows.set(node, { version, state, log: kept })
      return version
    },
    async list({ limit, from = '' }) {
      const rest = names().filter((node) => byBytes(node, from) >= 0)
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
      rows.delete(node)
    },
    async ping() {},
    async close() {},
  }
}

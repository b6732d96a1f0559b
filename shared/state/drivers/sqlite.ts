import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, PtpWatchError, StoreError } from '#shared/errors.ts'
import { damagedState, parseDocument, parseEntry } from '#shared/state/document.ts'
import type { Driver, Version, Versioned, Write } from '#shared/state/store/driver.ts'
import { failure, isBusy, openFile, transaction } from './sqlite/file.ts'

/**
 * Keeps the fleet in one SQLite file that several processes of one machine share. The folder is made if it is
 * missing, for its owner alone: subscriptions name callback addresses, and those hold tokens.
 *
 * Write-ahead log with `synchronous = NORMAL`: what was acknowledged survives the death of any process. A crash
 * of the whole machine may cost the writes since the last checkpoint (16,000 pages, about 64 MB), never the file;
 * the next poll finds again what was lost of the present, not of the history. `FULL` would cost a disk flush per
 * transaction, on the thread that serves requests.
 *
 * Calls wait for other processes up to `busyTimeoutMs`, without holding the thread.
 * @throws StoreError if the file cannot be opened, is not a PTP Watch store, or has another version.
 */
export async function createSqliteDriver(
  file: string,
  { busyTimeoutMs = 5000 }: { busyTimeoutMs?: number } = {},
): Promise<Driver> {
  const path = resolve(file)
  const attempt = async <T>(what: string, run: () => T): Promise<T> => {
    const deadline = performance.now() + busyTimeoutMs
    for (;;) {
      try {
        return run()
      } catch (error) {
        if (error instanceof PtpWatchError) throw error
        if (!isBusy(error) || performance.now() >= deadline) throw failure(path, what, error)
        await sleep(1 + Math.random() * 10)
      }
    }
  }
  const db = await attempt('be opened', () => openFile(path))
  const readDocument = db.prepare('SELECT node, revision, state FROM document WHERE node = ?')
  const readPage = db.prepare(
    'SELECT node, revision, state FROM document WHERE node >= ? ORDER BY node LIMIT ?',
  )
  const readVersions = db.prepare('SELECT node, revision FROM document ORDER BY node')
  const readLog = db.prepare('SELECT entry FROM log WHERE node = ? AND seq > ? ORDER BY seq LIMIT ?')
  const create = db.prepare(
    'INSERT INTO document (node, revision, state) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const replace = db.prepare('UPDATE document SET revision = ?, state = ? WHERE node = ? AND revision = ?')
  const addEntry = db.prepare('INSERT INTO log (node, seq, entry) VALUES (?, ?, ?)')
  const trimLog = db.prepare('DELETE FROM log WHERE node = ? AND seq <= ?')
  const removeDocument = db.prepare('DELETE FROM document WHERE node = ?')
  const removeLog = db.prepare('DELETE FROM log WHERE node = ?')

  function apply(node: string, { state, entries, expected, trimThrough }: Write): Version {
    // Random, so that no version comes again, not even after the node was removed.
    const revision = randomUUID()
    const text = JSON.stringify(state)
    const { changes } =
      expected === undefined ? create.run(node, revision, text) : replace.run(revision, text, node, expected)
    if (changes === 0) throw new ConflictError(node)
    for (const entry of entries) {
      if (entry.seq > trimThrough) addEntry.run(node, entry.seq, JSON.stringify(entry))
    }
    if (trimThrough > 0) trimLog.run(node, trimThrough)
    return revision
  }

  type Named = { readonly node: string; readonly write: Write }

  function applyOne({ node, write }: Named): Version | Error {
    try {
      return apply(node, write)
    } catch (error) {
      // A write that finds another version has changed nothing: it must not undo those beside it.
      if (error instanceof ConflictError) return error
      throw error
    }
  }

  /** The version of each, or why it has changed nothing. */
  async function commit(writes: readonly Named[]): Promise<(Version | Error)[]> {
    try {
      return await attempt('be written', () => transaction(db, () => writes.map(applyOne)))
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (writes.length === 1 || error.retryable) return writes.map(() => error)
      return (await Promise.all(writes.map((write) => commit([write])))).flat()
    }
  }

  /** What is written in one turn of the event loop is one transaction: the file's journal is written once for all. */
  type Turn = { readonly writes: Named[]; readonly done: Promise<(Version | Error)[]> }
  let turn: Turn | undefined

  function beginTurn(): Turn {
    const writes: Named[] = []
    const done = setImmediate().then(() => {
      turn = undefined
      return commit(writes)
    })
    return { writes, done }
  }

  return {
    read: (node) =>
      attempt('be read', () => {
        const row = readDocument.get(node)
        return row && documentOf(row)
      }),
    async write(node, write) {
      turn ??= beginTurn()
      const index = turn.writes.push({ node, write }) - 1
      const outcome = (await turn.done)[index]
      if (typeof outcome !== 'string') throw outcome
      return outcome
    },
    list: ({ limit, from = '' }) =>
      attempt('be read', () => {
        const rows = readPage.all(from, limit + 1)
        const next = rows[limit]
        return { nodes: rows.slice(0, limit).map(shownOf), next: next && String(next.node) }
      }),
    versions: () =>
      attempt(
        'be read',
        () => new Map(readVersions.all().map(({ node, revision }) => [String(node), String(revision)])),
      ),
    log: (node, { after, limit }) =>
      attempt('be read', () =>
        readLog.all(node, after, limit).map(({ entry }) => parseEntry(node, String(entry))),
      ),
    remove: (node, expected) =>
      attempt('be written', () =>
        transaction(db, () => {
          const row = readDocument.get(node)
          if (row === undefined) return
          if (expected !== undefined && row.revision !== expected) throw new ConflictError(node)
          removeDocument.run(node)
          removeLog.run(node)
        }),
      ),
    ping: () => attempt('be read', () => void readDocument.get('')),
    async close() {
      await turn?.done
      if (db.isOpen) db.close()
    },
  }
}

function shownOf(row: Record<string, unknown>): Versioned {
  try {
    return documentOf(row)
  } catch (error) {
    return { state: damagedState(String(row.node), error), version: String(row.revision) }
  }
}

function documentOf({ node, revision, state }: Record<string, unknown>): Versioned {
  return { state: parseDocument(String(node), String(state)), version: String(revision) }
}

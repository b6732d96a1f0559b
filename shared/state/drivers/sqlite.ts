import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, PtpWatchError, reasonOf, StoreError } from '#shared/errors.ts'
import { type Log, silentLog } from '#shared/log.ts'
import { damagedState, parseDocument } from '#shared/state/document.ts'
import {
  type Driver,
  parseEntries,
  type Version,
  type Versioned,
  type Write,
} from '#shared/state/store/driver.ts'

const SCHEMA_VERSION = 3
const SCHEMA = `
  CREATE TABLE document (node TEXT PRIMARY KEY, revision TEXT NOT NULL, state TEXT NOT NULL) STRICT;
  CREATE TABLE log (
    node TEXT NOT NULL, seq INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (node, seq)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** A checkpoint every 64 MB, and a cache large enough for it: documents are rewritten often. */
const SETTINGS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA wal_autocheckpoint = 16000;
  PRAGMA cache_size = -32000;
`

/** SQLite's primary result codes (sqlite.org/rescode.html): BUSY and LOCKED by another process, */
const BUSY: readonly unknown[] = [5, 6]
/** and others that may be temporary: NOMEM, IOERR, FULL, PROTOCOL. */
const PASSING: readonly unknown[] = [...BUSY, 7, 10, 13, 15]

/**
 * Keeps the fleet in one SQLite file, shared by several processes on one machine. A missing folder is created with
 * access for its owner only: subscriptions contain callback addresses with tokens.
 *
 * Write-ahead log with `synchronous = NORMAL`: acknowledged writes survive the death of any process. A crash of the
 * whole machine may cost the writes since the last checkpoint (16,000 pages, about 64 MB), but never the file; the next
 * poll recovers the present state, not the history. `FULL` would cost a disk flush per transaction on the thread that
 * serves requests.
 *
 * Calls wait for other processes up to `busyTimeoutMs` without blocking the thread.
 * @throws StoreError if the file cannot be opened, is not a PTP Watch store, or has another schema version.
 */
export async function createSqliteDriver(
  file: string,
  { log = silentLog, busyTimeoutMs = 5000 }: { log?: Log; busyTimeoutMs?: number } = {},
): Promise<Driver> {
  const path = resolve(file)

  async function attempt<T>(what: string, run: () => T): Promise<T> {
    const deadline = performance.now() + busyTimeoutMs
    for (;;) {
      try {
        return run()
      } catch (error) {
        if (error instanceof PtpWatchError) throw error
        const code = codeOf(error)
        if (!BUSY.includes(code) || performance.now() >= deadline) {
          const message = `The SQLite store ${path} cannot ${what}: ${reasonOf(error)}`
          throw new StoreError(message, { retryable: PASSING.includes(code) })
        }
        await sleep(1 + Math.random() * 10)
      }
    }
  }
  const reading = <T>(run: () => T) => attempt('be read', run)

  const db = await attempt('be opened', () => openFile(path))
  const readDocument = db.prepare('SELECT * FROM document WHERE node = ?')
  const readPage = db.prepare('SELECT * FROM document WHERE node >= ? ORDER BY node LIMIT ?')
  const readVersions = db.prepare('SELECT node, revision FROM document ORDER BY node')
  const readLog = db.prepare('SELECT entry FROM log WHERE node = ? AND seq > ? ORDER BY seq LIMIT ?')
  const create = db.prepare('INSERT OR IGNORE INTO document (revision, state, node) VALUES (?, ?, ?)')
  const replace = db.prepare('UPDATE document SET revision = ?, state = ? WHERE node = ? AND revision = ?')
  const addEntry = db.prepare('INSERT INTO log (node, seq, entry) VALUES (?, ?, ?)')
  const trimLog = db.prepare('DELETE FROM log WHERE node = ? AND seq <= ?')
  const removeDocument = db.prepare('DELETE FROM document WHERE node = ?')
  const removeLog = db.prepare('DELETE FROM log WHERE node = ?')

  /** A write that finds another version changes nothing, and must not undo the others in the transaction. */
  function apply(node: string, { state, entries, expected, trimThrough }: Write): Version | Error {
    // Random, so that no version ever repeats, even after the node was removed.
    const revision = randomUUID()
    const values = [revision, JSON.stringify(state), node]
    const { changes } = expected === undefined ? create.run(...values) : replace.run(...values, expected)
    if (changes === 0) return new ConflictError(node)
    for (const entry of entries) {
      if (entry.seq > trimThrough) addEntry.run(node, entry.seq, JSON.stringify(entry))
    }
    if (trimThrough > 0) trimLog.run(node, trimThrough)
    return revision
  }

  type Writes = [node: string, write: Write][]

  /** The version of each, or why it changed nothing. */
  async function commit(writes: Writes): Promise<(Version | Error)[]> {
    try {
      const applied = () => writes.map(([node, write]) => apply(node, write))
      return await attempt('be written', () => transaction(db, applied))
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (writes.length === 1 || error.retryable) return writes.map(() => error)
      return (await Promise.all(writes.map((write) => commit([write])))).flat()
    }
  }

  let waiting: Writes = []
  let turn: Promise<(Version | Error)[]> | undefined

  /** All writes of one turn of the event loop share a transaction, and with it one write of the journal. */
  async function commitTurn() {
    await nextTurn()
    const writes = waiting
    waiting = []
    turn = undefined
    return commit(writes)
  }

  return {
    read: (node, known) =>
      reading(() => {
        const row = readDocument.get(node)
        return row && row.revision === known?.version ? known : row && documentOf(row)
      }),
    async write(node, write) {
      turn ??= commitTurn()
      const index = waiting.push([node, write]) - 1
      const outcome = (await turn)[index]
      if (typeof outcome !== 'string') throw outcome
      return outcome
    },
    list: ({ limit, from = '' }) =>
      reading(() => {
        const rows = readPage.all(from, limit + 1)
        const next = rows[limit]
        return { nodes: rows.slice(0, limit).map(shownOf), next: next && String(next.node) }
      }),
    versions: () =>
      reading(() => new Map(readVersions.all().map((row) => [String(row.node), String(row.revision)]))),
    log: (node, { after, limit }) =>
      reading(() => {
        const texts = readLog.all(node, after, limit).map(({ entry }) => String(entry))
        return parseEntries(node, texts, log)
      }),
    remove: (node, expected) =>
      attempt('be written', () =>
        transaction(db, () => {
          const { revision = expected } = readDocument.get(node) ?? {}
          if (expected !== undefined && revision !== expected) throw new ConflictError(node)
          removeDocument.run(node)
          removeLog.run(node)
        }),
      ),
    ping: () => reading(() => void readDocument.get('')),
    async close() {
      await turn
      if (db.isOpen) db.close()
    },
  }
}

/** Opens the file with our tables. Throws what SQLite throws, or a StoreError if it is not a PTP Watch store. */
function openFile(path: string): DatabaseSync {
  makeFolder(dirname(path))
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec(SETTINGS)
    transaction(db, () => {
      const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
      if (version === SCHEMA_VERSION) return
      if (version !== 0) {
        const age = version > SCHEMA_VERSION ? 'a newer' : 'an older'
        throw refused(
          `The SQLite store ${path} has schema ${version}, made by ${age} version; this one needs schema ${SCHEMA_VERSION}. Move the file away: the next poll restores all states, but not the history`,
        )
      }
      if (db.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined) {
        throw refused(`The SQLite file ${path} is not a PTP Watch store: set STATE_URL to another file`)
      }
      db.exec(SCHEMA)
    })
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

const refused = (message: string) => new StoreError(message, { retryable: false })

/** Node's own `recursive` loops for ever if an existing parent accepts no folder, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (!existsSync(path)) throw error
  }
}

/** Runs a transaction: all or nothing. */
function transaction<T>(db: DatabaseSync, run: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = run()
    db.exec('COMMIT')
    return result
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** Extended codes contain the primary one in their low byte. */
function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
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

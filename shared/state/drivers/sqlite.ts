import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, PtpWatchError, reasonOf, StoreError } from '#shared/errors.ts'
import { documentText, parseDocument, parseEntry } from '../documents.ts'
import type { Driver, Version, Write } from '../driver.ts'

const SCHEMA_VERSION = 1

/**
 * `generation` is never used twice (AUTOINCREMENT), so that the version `generation.revision` of a document that
 * was removed never fits the one that came after it.
 */
const SCHEMA = `
  CREATE TABLE document (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    node TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL
  ) STRICT;
  CREATE TABLE log (
    generation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (generation, seq)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** SQLite's primary result codes that this driver tells apart (sqlite.org/rescode.html). */
const BUSY = 5
const LOCKED = 6
/** What may pass: BUSY, LOCKED, NOMEM, IOERR, FULL, PROTOCOL. */
const PASSING: ReadonlySet<number | undefined> = new Set([BUSY, LOCKED, 7, 10, 13, 15])

/**
 * Keeps the fleet in one SQLite file that several processes of one machine share. The folder is made if it is
 * missing, for its owner alone: subscriptions name callback addresses, and those hold tokens.
 *
 * Write-ahead log with `synchronous = NORMAL`: what was acknowledged survives the death of any process. A crash
 * of the whole machine may cost the writes since the last checkpoint (8,000 pages, about 32 MB), never the file;
 * the next poll finds again what was lost of the present, not of the history. `FULL` would cost a disk flush per
 * transaction, on the thread that serves requests.
 *
 * Calls wait for other processes up to `busyTimeoutMs`, without holding the thread.
 * @throws StoreError if the file cannot be opened, is no store of ours or belongs to a newer version.
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
  const db = await attempt('be opened', () => connect(path))
  const readDocument = db.prepare('SELECT generation, revision, state FROM document WHERE node = ?')
  const create = db.prepare(
    'INSERT INTO document (node, revision, state) VALUES (?, 1, ?) ON CONFLICT (node) DO NOTHING',
  )
  const replace = db.prepare(
    'UPDATE document SET revision = revision + 1, state = ? WHERE generation = ? AND revision = ? AND node = ?',
  )
  const append = db.prepare('INSERT INTO log (generation, seq, entry) VALUES (?, ?, ?)')
  const drop = db.prepare('DELETE FROM log WHERE generation = ? AND seq <= ?')
  const page = db.prepare(
    'SELECT node, generation, revision, state FROM document WHERE node >= ? ORDER BY node LIMIT ?',
  )
  const entries = db.prepare(
    `SELECT entry FROM log WHERE generation = (SELECT generation FROM document WHERE node = ?) AND seq > ?
     ORDER BY seq LIMIT ?`,
  )
  const dropAll = db.prepare(
    'DELETE FROM log WHERE generation = (SELECT generation FROM document WHERE node = ?)',
  )
  const forget = db.prepare('DELETE FROM document WHERE node = ?')

  function apply(node: string, { state, entries, expected, trimThrough }: Write): Version {
    const text = documentText(state)
    let generation: number
    let revision = 1
    if (expected === undefined) {
      const created = create.run(node, text)
      if (created.changes === 0) throw new ConflictError(node)
      generation = Number(created.lastInsertRowid)
    } else {
      const [known = 0, before = 0] = expected.split('.').map(Number)
      if (replace.run(text, known, before, node).changes === 0) throw new ConflictError(node)
      generation = known
      revision = before + 1
    }
    for (const entry of entries) append.run(generation, entry.seq, JSON.stringify(entry))
    if (trimThrough > 0) drop.run(generation, trimThrough)
    return `${generation}.${revision}`
  }

  /** The version of each, or why it has changed nothing. */
  const applyTogether = (writes: readonly Waiting[]) =>
    attempt('be written', () => transaction(db, () => writes.map((each) => attemptOne(each))))

  function attemptOne({ node, write }: Waiting): Version | ConflictError {
    try {
      return apply(node, write)
    } catch (error) {
      // A write that finds another version has changed nothing: those beside it are as good as alone.
      if (error instanceof ConflictError) return error
      throw error
    }
  }

  let waiting: Waiting[] = []

  async function commit(writes: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await applyTogether(writes)
      writes.forEach(({ resolve, reject }, index) => {
        const outcome = outcomes[index]
        if (typeof outcome === 'string') resolve(outcome)
        else reject(outcome)
      })
    } catch (error) {
      const alone = writes.length === 1 || (error instanceof StoreError && error.retryable)
      if (alone) for (const { reject } of writes) reject(error)
      else for (const write of writes) await commit([write])
    }
  }

  const commitWaiting = () => {
    const writes = waiting
    waiting = []
    return writes.length === 0 ? undefined : commit(writes)
  }

  return {
    read: (node) =>
      attempt('be read', () => {
        const row = readDocument.get(node)
        return row && { state: parseDocument(node, String(row.state)), version: versionOf(row) }
      }),
    // What comes in one turn of the event loop is one transaction: the log on disk is then written once for all.
    write: (node, write) =>
      new Promise((resolve, reject) => {
        if (waiting.push({ node, write, resolve, reject }) === 1) setImmediate(commitWaiting)
      }),
    list: ({ limit, from = '' }) =>
      attempt('be read', () => {
        const rows = page.all(from, limit + 1)
        const nodes = rows.slice(0, limit).map((row) => ({
          state: parseDocument(String(row.node), String(row.state)),
          version: versionOf(row),
        }))
        const next = rows[limit]
        return { nodes, next: next && String(next.node) }
      }),
    log: (node, { after, limit }) =>
      attempt('be read', () =>
        entries.all(node, after, limit).map((row) => parseEntry(node, String(row.entry))),
      ),
    remove: (node, expected) =>
      attempt('be written', () =>
        transaction(db, () => {
          const row = expected === undefined ? undefined : readDocument.get(node)
          if (row !== undefined && versionOf(row) !== expected) throw new ConflictError(node)
          dropAll.run(node)
          forget.run(node)
        }),
      ),
    ping: () => attempt('be read', () => void readDocument.get('')),
    async close() {
      await commitWaiting()
      if (db.isOpen) db.close()
    },
  }
}

/** A write that waits for the end of the turn. */
type Waiting = {
  readonly node: string
  readonly write: Write
  resolve(version: Version): void
  reject(error: unknown): void
}

function connect(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    // What is written often goes from the write-ahead log into the file once in 32 MB instead of once in 4, out of a
    // cache that holds it: without this an event took a third more of the processor (docs/performance.md).
    db.exec('PRAGMA wal_autocheckpoint = 8000; PRAGMA cache_size = -32000')
    transaction(db, () => {
      const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
      if (version > SCHEMA_VERSION) {
        throw new StoreError(
          `The SQLite store ${path} has schema ${version}, made by a newer version; this one knows ${SCHEMA_VERSION}`,
          { retryable: false },
        )
      }
      if (version === SCHEMA_VERSION) return
      if (db.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined) {
        throw new StoreError(`The SQLite file ${path} holds something else than a store`, {
          retryable: false,
        })
      }
      db.exec(SCHEMA)
    })
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

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

function versionOf(row: Record<string, unknown>): Version {
  return `${row.generation}.${row.revision}`
}

function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  // Extended codes hold the primary one in their low byte.
  return error.errcode & 0xff
}

function isBusy(error: unknown): boolean {
  const code = codeOf(error)
  return code === BUSY || code === LOCKED
}

function failure(path: string, what: string, error: unknown): StoreError {
  const retryable = PASSING.has(codeOf(error))
  return new StoreError(`The SQLite store ${path} cannot ${what}: ${reasonOf(error)}`, { retryable })
}

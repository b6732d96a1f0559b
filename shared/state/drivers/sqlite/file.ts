import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { reasonOf, StoreError } from '#shared/errors.ts'

const SCHEMA_VERSION = 2

/**
 * `generation` is never used twice (AUTOINCREMENT), so that the version `generation.revision` of a document that
 * was removed never fits the one that came after it.
 *
 * `part` holds the document of each generation in pieces, `generation << 16 | place`: place 0, the head, is what nearly
 * every event changes, with the newest of the log as `tail` and the number up to which the log is `dropped`; place 1 is
 * the rest; from 2 on there is a clock in each. The head names the node again, so that a write
 * finds all in one row. That they lie side by side in one table makes a write a quarter cheaper than heads in a table
 * of their own: two pieces that change share a page.
 *
 * `log` holds entries that have left the tail, several together, at `generation << 32 | seq` of the last. Entries,
 * there and in the tail, are JSON texts with a comma behind each.
 */
const SCHEMA = `
  CREATE TABLE node (generation INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE part (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    node TEXT,
    revision INTEGER,
    dropped INTEGER,
    tail TEXT
  ) STRICT;
  CREATE TABLE log (id INTEGER PRIMARY KEY, entries TEXT NOT NULL) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/**
 * Pages are small since an event changes few bytes in few places, and all of each page that it touches is written. What
 * is written often goes from the write-ahead log into the file once in 32 MB instead of once in 4, out of a cache that
 * holds it: without this an event took a third more of the processor (docs/contributing/performance.md).
 */
const SETTINGS = `
  PRAGMA page_size = 2048;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA wal_autocheckpoint = 16000;
  PRAGMA cache_size = -32000;
`

/** SQLite's primary result codes that this driver tells apart (sqlite.org/rescode.html). */
const BUSY = 5
const LOCKED = 6
/** What may pass: BUSY, LOCKED, NOMEM, IOERR, FULL, PROTOCOL. */
const PASSING: ReadonlySet<number | undefined> = new Set([BUSY, LOCKED, 7, 10, 13, 15])

/** Runs what belongs together, whole or not at all. */
export type Transaction = <T>(run: () => T) => T

/** The file at `path`, with our tables in it. Throws what SQLite throws, or a StoreError if it is no store of ours. */
export function openFile(path: string): DatabaseSync {
  makeFolder(dirname(path))
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec(SETTINGS)
    createTransaction(
      db,
      'IMMEDIATE',
    )(() => {
      const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
      if (version === SCHEMA_VERSION) return
      if (version !== 0) {
        const age = version > SCHEMA_VERSION ? 'a newer' : 'an older'
        throw new StoreError(
          `The SQLite store ${path} has schema ${version}, made by ${age} version; this one knows ${SCHEMA_VERSION}`,
          { retryable: false },
        )
      }
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

/** Node's own `recursive` goes on for ever where a parent that is there takes no folder, as in /proc. */
function makeFolder(path: string, hasParent = false): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || hasParent) throw error
    makeFolder(dirname(path))
    makeFolder(path, true)
  }
}

/** DEFERRED for what only reads: all of it then comes from one moment. */
export function createTransaction(db: DatabaseSync, kind: 'IMMEDIATE' | 'DEFERRED'): Transaction {
  const begin = db.prepare(`BEGIN ${kind}`)
  const commit = db.prepare('COMMIT')
  return (run) => {
    begin.run()
    try {
      const result = run()
      commit.run()
      return result
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
}

/** Whether somebody else holds what was needed. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error)
  return code === BUSY || code === LOCKED
}

export function failure(path: string, what: string, error: unknown): StoreError {
  const retryable = PASSING.has(codeOf(error))
  return new StoreError(`The SQLite store ${path} cannot ${what}: ${reasonOf(error)}`, { retryable })
}

function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  // Extended codes hold the primary one in their low byte.
  return error.errcode & 0xff
}

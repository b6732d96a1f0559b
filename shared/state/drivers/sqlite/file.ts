import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { reasonOf, StoreError } from '#shared/errors.ts'

const SCHEMA_VERSION = 3

const SCHEMA = `
  CREATE TABLE document (node TEXT PRIMARY KEY, revision TEXT NOT NULL, state TEXT NOT NULL) STRICT;
  CREATE TABLE log (
    node TEXT NOT NULL, seq INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (node, seq)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/** A checkpoint once in 64 MB, out of a cache that holds it: documents are rewritten often. */
const SETTINGS = `
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

/** The file at `path` with our tables. Throws what SQLite throws, or a StoreError if it is not a PTP Watch store. */
export function openFile(path: string): DatabaseSync {
  makeFolder(dirname(path))
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec(SETTINGS)
    transaction(db, () => {
      const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
      if (version === SCHEMA_VERSION) return
      const isEmpty = db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
      if (version !== 0 || !isEmpty) throw refusal(path, version)
      db.exec(SCHEMA)
    })
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function refusal(path: string, version: number): StoreError {
  const age = version > SCHEMA_VERSION ? 'a newer' : 'an older'
  const message =
    version === 0
      ? `The SQLite file ${path} is not a PTP Watch store: set STATE_URL to another file`
      : `The SQLite store ${path} has schema ${version}, made by ${age} version; this one needs schema ${SCHEMA_VERSION}. Move the file away: the next poll restores all states, but not the history`
  return new StoreError(message, { retryable: false })
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

/** Runs what belongs together, whole or not at all. */
export function transaction<T>(db: DatabaseSync, run: () => T): T {
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

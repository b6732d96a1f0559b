import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConflictError, PtpWatchError, StoreError } from '#shared/errors.ts'
import { parseEntries } from '#shared/state/store/documents.ts'
import type { Driver, Version, Versioned, Write } from '#shared/state/store/driver.ts'
import type { LogEntry } from '#shared/state/document.ts'
import { changedParts, FIRST_CLOCK, headOf, joinParts } from './parts.ts'
import { createTransaction, failure, isBusy, openFile } from './sqlite/file.ts'

/** A node's entries leave the tail of its log, for rows of their own, when their number passes a multiple of this. */
const TAIL = 16

const DOCUMENT = `
  SELECT name, generation, revision, head.text AS head,
    (SELECT text FROM part WHERE id = head.id + 1) AS rest,
    (SELECT group_concat(text, ',' ORDER BY id) FROM part WHERE id BETWEEN head.id + 2 AND head.id + 65535) AS clocks
  FROM node CROSS JOIN part AS head ON head.id = generation << 16`

/**
 * Keeps the fleet in one SQLite file that several processes of one machine share. The folder is made if it is
 * missing, for its owner alone: subscriptions name callback addresses, and those hold tokens.
 *
 * Write-ahead log with `synchronous = NORMAL`: what was acknowledged survives the death of any process. A crash
 * of the whole machine may cost the writes since the last checkpoint (16,000 pages, about 32 MB), never the file;
 * the next poll finds again what was lost of the present, not of the history. `FULL` would cost a disk flush per
 * transaction, on the thread that serves requests.
 *
 * Calls wait for other processes up to `busyTimeoutMs`, without holding the thread.
 * @throws StoreError if the file cannot be opened, is no store of ours or belongs to another version.
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
  const changing = createTransaction(db, 'IMMEDIATE')
  const reading = createTransaction(db, 'DEFERRED')
  const readDocument = db.prepare(`${DOCUMENT} WHERE name = ?`)
  const readPage = db.prepare(`${DOCUMENT} WHERE name >= ? ORDER BY name LIMIT ?`)
  const readNames = db.prepare('SELECT name FROM node ORDER BY name')
  const readHead = db.prepare(
    `SELECT generation, revision, dropped, tail FROM node CROSS JOIN part ON id = generation << 16 WHERE name = ?`,
  )
  const readLog = db.prepare(
    'SELECT entries FROM log WHERE id > (?1 << 32) | ?2 AND id < (?1 + 1) << 32 ORDER BY id',
  )
  const create = db.prepare('INSERT INTO node (name) VALUES (?) ON CONFLICT (name) DO NOTHING')
  const createHead = db.prepare(
    `INSERT INTO part (id, text, node, revision, dropped, tail) VALUES (?1 << 16, '', ?2, 0, 0, '')`,
  )
  const replaceHead = db.prepare(
    `UPDATE part SET revision = revision + 1, text = ?1, tail = tail || ?2, dropped = max(dropped, ?3)
     WHERE id = ?4 << 16 AND revision = ?5 AND node = ?6`,
  )
  const replacePart = db.prepare('INSERT OR REPLACE INTO part (id, text) VALUES (?1 << 16 | ?2, ?3)')
  const dropParts = db.prepare('DELETE FROM part WHERE id >= (?1 << 16) | ?2 AND id < (?1 + 1) << 16')
  const settleTail = db.prepare(
    'INSERT INTO log (id, entries) SELECT (?1 << 32) | ?2, tail FROM part WHERE id = ?1 << 16',
  )
  const clearTail = db.prepare(`UPDATE part SET tail = '' WHERE id = ? << 16`)
  const dropLog = db.prepare('DELETE FROM log WHERE id > ?1 << 32 AND id <= (?1 << 32) | ?2')
  const forget = db.prepare('DELETE FROM node WHERE generation = ?')

  function apply(node: string, write: Write): Version {
    const { state, entries, expected, trimThrough } = write
    const [generation, revision] = expected === undefined ? createdNode(node) : numbersOf(expected)
    const before = expected === undefined ? undefined : write.before
    const added = entries.map((entry) => `${JSON.stringify(entry)},`).join('')
    const through = Math.min(trimThrough, state.seq)
    const replaced = replaceHead.run(headOf(state), added, through, generation, revision, node)
    if (replaced.changes === 0) throw new ConflictError(node)
    for (const { place, text } of changedParts(state, before)) replacePart.run(generation, place, text)
    if (before === undefined || before.clocks.length > state.clocks.length) {
      dropParts.run(generation, FIRST_CLOCK + state.clocks.length)
    }
    if (state.seq % TAIL < entries.length) {
      settleTail.run(generation, state.seq)
      clearTail.run(generation)
    }
    if (through > 0) dropLog.run(generation, through)
    return `${generation}.${revision + 1}`
  }

  function createdNode(node: string): [generation: number, revision: number] {
    const { changes, lastInsertRowid } = create.run(node)
    if (changes === 0) throw new ConflictError(node)
    const generation = Number(lastInsertRowid)
    createHead.run(generation, node)
    return [generation, 0]
  }

  /** The version of each, or why it has changed nothing. */
  const applyTogether = (writes: readonly Waiting[]) =>
    attempt('be written', () => changing(() => writes.map((each) => attemptOne(each))))

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
        return row && documentOf(row)
      }),
    // What comes in one turn of the event loop is one transaction: the log on disk is then written once for all.
    write: (node, write) =>
      new Promise((resolve, reject) => {
        if (waiting.push({ node, write, resolve, reject }) === 1) setImmediate(commitWaiting)
      }),
    list: ({ limit, from = '' }) =>
      attempt('be read', () => {
        const rows = readPage.all(from, limit + 1)
        const next = rows[limit]
        return { nodes: rows.slice(0, limit).map(documentOf), next: next && String(next.name) }
      }),
    names: () => attempt('be read', () => readNames.all().map(({ name }) => String(name))),
    log: (node, { after, limit }) =>
      attempt('be read', () =>
        reading(() => {
          const head = readHead.get(node)
          if (head === undefined) return []
          const above = Math.max(after, Number(head.dropped))
          const found: LogEntry[] = []
          for (const { entries } of readLog.iterate(Number(head.generation), above)) {
            found.push(...entriesOf(node, entries, above))
            if (found.length >= limit) return found.slice(0, limit)
          }
          return found.concat(entriesOf(node, head.tail, above)).slice(0, limit)
        }),
      ),
    remove: (node, expected) =>
      attempt('be written', () =>
        changing(() => {
          const head = readHead.get(node)
          if (head === undefined) return
          if (expected !== undefined && versionOf(head) !== expected) throw new ConflictError(node)
          const generation = Number(head.generation)
          dropLog.run(generation, 0xffffffff)
          dropParts.run(generation, 0)
          forget.run(generation)
        }),
      ),
    ping: () => attempt('be read', () => void readHead.get('')),
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

function documentOf(row: Row): Versioned {
  const state = joinParts(String(row.name), String(row.head), String(row.rest), String(row.clocks ?? ''))
  return { state, version: versionOf(row) }
}

/** Those with a number above `above` of a text with a comma behind each. */
function entriesOf(node: string, text: unknown, above: number): LogEntry[] {
  return parseEntries(node, `[${String(text).slice(0, -1)}]`).filter(({ seq }) => seq > above)
}

type Row = Record<string, unknown>

function versionOf(row: Row): Version {
  return `${row.generation}.${row.revision}`
}

function numbersOf(version: Version): [generation: number, revision: number] {
  const [generation = 0, revision = 0] = version.split('.').map(Number)
  return [generation, revision]
}

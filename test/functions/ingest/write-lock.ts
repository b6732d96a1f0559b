import { DatabaseSync } from 'node:sqlite'

/** Holds the one write lock of an SQLite file: nobody else can write it until it is released. */
export function writeLock(file: string): { release(): void; [Symbol.dispose](): void } {
  const db = new DatabaseSync(file, { timeout: 5_000 })
  db.exec('BEGIN IMMEDIATE')
  const release = () => {
    if (db.isOpen) db.close()
  }
  return { release, [Symbol.dispose]: release }
}

import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { StoreError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { createSqliteDriver } from '#shared/state/drivers/sqlite.ts'
import { driverContract } from './contract.ts'
import { processContract } from './processes.ts'
import { document, entries, numbers, range } from './samples.ts'
import { temporaryFolder } from './temporary-folder.ts'

const makeSubject = async () => {
  const folder = await temporaryFolder()
  const file = join(folder.path, 'made', 'for it', 'state.db')
  return { open: () => createSqliteDriver(file), url: `sqlite:${file}`, cleanUp: folder.remove }
}

driverContract('sqlite', makeSubject)
processContract('sqlite', makeSubject)

describe('a file of the sqlite driver', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let file: string
  beforeEach(async () => {
    folder = await temporaryFolder()
    file = join(folder.path, 'state.db')
  })
  afterEach(() => folder.remove())

  const write = { state: document('a', 2), entries: entries(1, 2), expected: undefined, trimThrough: 0 }
  const refusal = async (made: Promise<unknown>) => {
    const reason = await made.then(
      () => undefined,
      (error: unknown) => error,
    )
    if (!(reason instanceof StoreError)) throw new Error('no StoreError', { cause: reason })
    return reason
  }

  test('holds the same documents and log after it was closed and opened again', async () => {
    const first = await createSqliteDriver(file)
    const version = await first.write('a', write)
    await first.close()
    const second = await createSqliteDriver(file)
    expect(await second.read('a')).toEqual({ state: write.state, version })
    expect(await second.log('a', { after: 0, limit: 9 })).toEqual(write.entries)
    await second.close()
  })

  test('can be opened by many at once while it does not exist yet', async () => {
    const drivers = await Promise.all(Array.from({ length: 8 }, () => createSqliteDriver(file)))
    await drivers[0]?.write('a', write)
    expect((await drivers[7]?.read('a'))?.state.seq).toBe(2)
    for (const driver of drivers) await driver.close()
  })

  test('lies in a folder that was made for its owner alone', async () => {
    const driver = await createSqliteDriver(join(folder.path, 'new', 'state.db'))
    await driver.close()
    expect((await stat(join(folder.path, 'new'))).mode & 0o777).toBe(0o700)
  })

  test('is refused by its name if it is no database', async () => {
    await writeFile(file, 'not a database, and long enough to look like one '.repeat(100))
    const error = await refusal(createSqliteDriver(file))
    expect(error.message).toContain(file)
    expect(error.message).toContain('not a database')
    expect(error.retryable).toBe(false)
  })

  test('is refused if it is a database of something else, which stays untouched', async () => {
    const other = new DatabaseSync(file)
    other.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)')
    const error = await refusal(createSqliteDriver(file))
    expect(error.message).toContain(file)
    expect(error.retryable).toBe(false)
    const tables = other.prepare('SELECT name FROM sqlite_schema').all()
    expect(tables.map(({ name }) => name)).toEqual(['theirs'])
    other.close()
  })

  test.each([
    [7, 'newer'],
    [2, 'older'],
  ])('with schema %i is refused, since a version that is %s has made it', async (schema, age) => {
    await (await createSqliteDriver(file)).close()
    const other = new DatabaseSync(file)
    other.exec(`PRAGMA user_version = ${schema}`)
    other.close()
    const error = await refusal(createSqliteDriver(file))
    expect(error.message).toMatch(new RegExp(`schema ${schema}.*${age}.*Move the file away`))
    expect(error.message).toContain(file)
    expect(error.retryable).toBe(false)
  })

  test('is refused by its name if it is a folder, or lies under a file', async () => {
    await mkdir(file)
    expect((await refusal(createSqliteDriver(file))).message).toContain(file)
    await writeFile(join(folder.path, 'plain'), '')
    const under = join(folder.path, 'plain', 'state.db')
    const error = await refusal(createSqliteDriver(under))
    expect(error.message).toContain(under)
    expect(error.retryable).toBe(false)
  })

  // Nobody makes files in /proc, not even the superuser, whom the modes of a folder do not stop.
  test.each(['/proc/state.db', '/proc/no/such/state.db'])(
    'is refused by its name if its folder takes no files, or cannot be made: %s',
    async (path) => {
      const error = await refusal(createSqliteDriver(path))
      expect(error.message).toContain(path)
      expect(error.retryable).toBe(false)
    },
  )

  test('that another process keeps locked is a failure that may pass, and reads go on meanwhile', async () => {
    const driver = await createSqliteDriver(file, { busyTimeoutMs: 20 })
    const version = await driver.write('a', write)
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const next = { state: document('a', 3), entries: entries(3, 3), expected: version, trimThrough: 0 }
    const error = await refusal(driver.write('a', next))
    expect(error.retryable).toBe(true)
    expect(error.message).toContain(file)
    expect(await driver.read('a')).toEqual({ state: write.state, version })
    other.exec('ROLLBACK')
    other.close()
    await driver.write('a', next)
    expect((await driver.read('a'))?.state.seq).toBe(3)
    await driver.close()
  })

  test('that is locked for a while only makes writers wait', async () => {
    const driver = await createSqliteDriver(file, { busyTimeoutMs: 60_000 })
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const written = driver.write('a', write)
    // The thread is not held: this runs while the write waits.
    await new Promise(setImmediate)
    expect(await driver.read('a')).toBeUndefined()
    other.exec('COMMIT')
    other.close()
    await written
    expect((await driver.read('a'))?.state).toEqual(write.state)
    await driver.close()
  })

  test('with a damaged document names the node and leaves the others readable', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'error', now: () => 0, write: (line) => lines.push(line) })
    const driver = await createSqliteDriver(file, { log })
    await driver.write('a', write)
    await driver.write('b', { ...write, state: document('b', 2) })
    const other = new DatabaseSync(file)
    other.exec(`UPDATE document SET state = '{"seq":2}' WHERE node = 'a'; UPDATE log SET entry = '{'`)
    other.close()
    const error = await refusal(driver.read('a'))
    expect(error.message).toContain('node a')
    expect(error.retryable).toBe(false)
    expect(await driver.log('a', { after: 0, limit: 9 })).toEqual([])
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ node: 'a', count: write.entries.length }])
    expect((await driver.read('b'))?.state).toEqual(document('b', 2))
    const { nodes } = await driver.list({ limit: 9 })
    expect(nodes.map(({ state }) => state.damaged)).toEqual([error.message, undefined])
    await driver.close()
  })

  test('keeps nothing of a node that was removed', async () => {
    const driver = await createSqliteDriver(file)
    await driver.write('a', write)
    await driver.remove('a')
    const other = new DatabaseSync(file)
    expect(
      other.prepare('SELECT (SELECT count(*) FROM document) + (SELECT count(*) FROM log) AS rows').get(),
    ).toEqual(expect.objectContaining({ rows: 0 }))
    other.close()
    await driver.close()
  })

  test('gives of the log what is there, however it came in, and whatever was dropped of it', async () => {
    const driver = await createSqliteDriver(file)
    const anyWrite = fc.record({
      added: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 40 })),
      drop: fc.boolean(),
      kept: fc.integer({ min: 0, max: 30 }),
    })
    const anyRange = fc.record({
      back: fc.integer({ min: -2, max: 60 }),
      limit: fc.integer({ min: 1, max: 50 }),
    })
    const anyWrites = fc.array(fc.tuple(anyWrite, anyRange), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(anyWrites, async (writes) => {
        let expected: string | undefined
        let seq = 0
        let dropped = 0
        for (const [{ added, drop, kept }, { back, limit }] of writes) {
          const from = seq + 1
          seq += added
          const trimThrough = drop ? Math.max(0, seq - kept) : 0
          dropped = Math.max(dropped, trimThrough)
          const next = { state: document('a', seq), entries: entries(from, seq), expected, trimThrough }
          expected = await driver.write('a', next)
          const after = seq - back
          const there = range(Math.max(after, dropped) + 1, seq).slice(0, limit)
          expect(numbers(await driver.log('a', { after, limit }))).toEqual(there)
        }
        await driver.remove('a')
        expect(await driver.log('a', { after: 0, limit: 9 })).toEqual([])
      }),
      { numRuns: 40 },
    )
    await driver.close()
  })

  test('gives a StoreError after it was closed', async () => {
    const driver = await createSqliteDriver(file)
    await driver.close()
    await driver.close()
    expect((await refusal(driver.read('a'))).message).toContain(file)
    expect((await refusal(driver.write('a', write))).message).toContain(file)
  })
})

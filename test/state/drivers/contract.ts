import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { ConflictError } from '#shared/errors.ts'
import type { Driver, Version } from '#shared/state/store/driver.ts'
import type { NodeState } from '#shared/state/document.ts'
import { document, entries, numbers, range } from './samples.ts'

/** One empty store that a test has for itself. */
export type Subject = {
  /** A driver over the store; each call is a further user of the same one. The suite closes them. */
  open(): Promise<Driver>
  /** Takes the store away, once every driver is closed. */
  cleanUp(): Promise<void>
}

/** How large a document and how long a log the driver is shown at once. */
export type Sizes = { readonly documentKiB?: number; readonly logEntries?: number }

/** What every driver of the state store has to do; `processContract` is for those that processes share. */
export function driverContract(
  name: string,
  makeSubject: () => Promise<Subject>,
  { documentKiB = 300, logEntries = 5000 }: Sizes = {},
): void {
  describe(`the ${name} driver`, () => {
    let subject: Subject
    let opened: Driver[]
    let driver: Driver
    const open = async () => {
      const next = await subject.open()
      opened.push(next)
      return next
    }
    const create = (node: string, seq = 0) =>
      driver.write(node, {
        state: document(node, seq),
        entries: entries(1, seq),
        expected: undefined,
        trimThrough: 0,
      })
    const logOf = async (node: string) => numbers(await driver.log(node, { after: 0, limit: 100_000 }))

    beforeEach(async () => {
      subject = await makeSubject()
      opened = []
      driver = await open()
    })
    afterEach(async () => {
      for (const one of opened) await one.close()
      await subject.cleanUp()
    })

    test('knows nothing of a node that was never written', async () => {
      expect(await driver.read('a')).toBeUndefined()
      expect(await driver.log('a', { after: 0, limit: 10 })).toEqual([])
      expect(await driver.list({ limit: 10 })).toEqual({ nodes: [], next: undefined })
    })

    test('reads back the whole document that was written, under the version that the write gave', async () => {
      const version = await create('a', 3)
      expect(await driver.read('a')).toEqual({ state: document('a', 3), version })
      expect(await driver.log('a', { after: 0, limit: 10 })).toEqual(entries(1, 3))
    })

    test('gives back what its reader knows only while that is the newest', async () => {
      await create('a', 1)
      const known = await driver.read('a')
      expect(await driver.read('a', known)).toBe(known)
      const other = await open()
      const write = { state: document('a', 2), entries: entries(2, 2), trimThrough: 0 }
      const version = await other.write('a', { ...write, expected: known?.version })
      expect(await driver.read('a', known)).toEqual({ state: document('a', 2), version })
      await other.remove('a')
      expect(await driver.read('a', known)).toBeUndefined()
    })

    test('answers a ping', async () => {
      await expect(driver.ping()).resolves.toBeUndefined()
    })

    test('shares no object with its readers', async () => {
      const state = document('a')
      await driver.write('a', { state, entries: [], expected: undefined, trimThrough: 0 })
      const read = await driver.read('a')
      if (read) read.state.clocks.length = 0
      expect((await driver.read('a'))?.state).toEqual(document('a'))
    })

    describe('compare-and-set', () => {
      const expectRefused = async (expected: Version | undefined) => {
        const before = await driver.read('a')
        const log = await logOf('a')
        const refused = driver.write('a', {
          state: { ...document('a', 9), incarnation: 'refused' },
          entries: entries(log.length + 1, 9),
          expected,
          trimThrough: 2,
        })
        await expect(refused).rejects.toBeInstanceOf(ConflictError)
        expect(await driver.read('a')).toEqual(before)
        expect(await logOf('a')).toEqual(log)
      }

      test('refuses to create a node that is there, and changes nothing', async () => {
        await create('a', 3)
        await expectRefused(undefined)
      })

      test('refuses a version that was overtaken, and changes nothing', async () => {
        const first = await create('a', 3)
        const second = await driver.write('a', {
          state: document('a', 4),
          entries: entries(4, 4),
          expected: first,
          trimThrough: 0,
        })
        expect(second).not.toBe(first)
        await expectRefused(first)
      })

      test('refuses to change a node that was removed, and does not bring it back', async () => {
        const version = await create('a', 3)
        await driver.remove('a')
        await expectRefused(version)
        expect(await driver.read('a')).toBeUndefined()
      })

      test('refuses the version of a document that was removed and made anew, alike as they may be', async () => {
        const version = await create('a', 3)
        await driver.remove('a')
        await create('a', 3)
        await expectRefused(version)
      })

      test("refuses another node's version", async () => {
        await create('a', 3)
        await expectRefused(await create('b', 3))
      })

      test('lets exactly one of many at once through, whichever driver they came by', async () => {
        const version = await create('a')
        const drivers = [driver, await open(), await open()]
        const attempts = await Promise.allSettled(
          range(1, 30).map((number) =>
            (drivers[number % 3] ?? driver).write('a', {
              state: { ...document('a', 1), incarnation: `writer ${number}` },
              entries: entries(1, 1).map((entry) => ({ ...entry, to: `writer ${number}` })),
              expected: version,
              trimThrough: 0,
            }),
          ),
        )
        expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
        const lost = attempts.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
        expect(lost.every((reason) => reason instanceof ConflictError)).toBe(true)
        const [entry, ...more] = await driver.log('a', { after: 0, limit: 10 })
        expect(more).toEqual([])
        expect((await driver.read('a'))?.state.incarnation).toBe(entry?.to)
      })
    })

    test('shows what one user wrote to every other', async () => {
      const other = await open()
      const version = await create('a', 2)
      expect(await other.read('a')).toEqual({ state: document('a', 2), version })
      await other.remove('a')
      expect(await driver.read('a')).toBeUndefined()
    })

    describe('remove', () => {
      test('takes the document and its log, and leaves other nodes theirs', async () => {
        await create('a', 3)
        await create('b', 3)
        await driver.remove('a')
        expect(await driver.read('a')).toBeUndefined()
        expect(await logOf('a')).toEqual([])
        expect(await logOf('b')).toEqual([1, 2, 3])
        await create('a', 1)
        expect(await logOf('a')).toEqual([1])
      })

      test('does nothing to a node that is not there', async () => {
        await expect(driver.remove('a')).resolves.toBeUndefined()
        await expect(driver.remove('a', 'any version')).resolves.toBeUndefined()
      })

      test('of a version that was overtaken is refused, and changes nothing', async () => {
        const version = await create('a', 3)
        const state = { ...document('a', 3), incarnation: 'another' }
        const next = await driver.write('a', { state, entries: [], expected: version, trimThrough: 0 })
        await expect(driver.remove('a', version)).rejects.toBeInstanceOf(ConflictError)
        expect(await driver.read('a')).toEqual({ state, version: next })
        expect(await logOf('a')).toEqual([1, 2, 3])
        await driver.remove('a', next)
        expect(await driver.read('a')).toBeUndefined()
      })
    })

    describe('the log', () => {
      test('gives the oldest entries after a number, as many as were asked for', async () => {
        await create('a', 12)
        const read = async (after: number, limit: number) => numbers(await driver.log('a', { after, limit }))
        expect(await read(0, 5)).toEqual([1, 2, 3, 4, 5])
        expect(await read(9, 2)).toEqual([10, 11])
        expect(await read(10, 5)).toEqual([11, 12])
        expect(await read(12, 5)).toEqual([])
        expect(await read(99, 5)).toEqual([])
      })

      test('drops what a write trims, its own entries too, and stays in order', async () => {
        let expected = await create('a', 12)
        const trim = async (seq: number, from: number, trimThrough: number) => {
          const write = { state: document('a', seq), entries: entries(from, seq), expected, trimThrough }
          expected = await driver.write('a', write)
          return logOf('a')
        }
        expect(await trim(12, 13, 0)).toEqual(range(1, 12))
        expect(await trim(14, 13, 9)).toEqual(range(10, 14))
        expect(await trim(14, 15, 9)).toEqual(range(10, 14))
        expect(await trim(20, 15, 17)).toEqual([18, 19, 20])
        expect(await trim(20, 21, 99)).toEqual([])
        expect(await trim(21, 21, 0)).toEqual([21])
      })
    })

    describe('list', () => {
      const walk = async (limit: number, between: (page: number) => Promise<void> = async () => {}) => {
        const names: string[] = []
        let from: string | undefined
        for (let page = 1; ; page += 1) {
          const { nodes, next } = await driver.list({ limit, from })
          names.push(...nodes.map(({ state }) => state.node))
          expect(nodes.length).toBeLessThanOrEqual(limit)
          if (next === undefined) return names
          from = next
          await between(page)
        }
      }

      test('gives every document with the version to write it by', async () => {
        const version = await create('a', 2)
        await create('b')
        const { nodes } = await driver.list({ limit: 10 })
        expect(nodes[0]).toEqual({ state: document('a', 2), version })
        expect(nodes).toHaveLength(2)
      })

      test('versions are those of all nodes, in order, without their documents', async () => {
        expect([...(await driver.versions())]).toEqual([])
        const versions = new Map<string, string>()
        for (const node of ['g', 'B', 'a']) versions.set(node, await create(node))
        const found = await driver.versions()
        expect([...found.keys()]).toEqual(['B', 'a', 'g'])
        expect(found).toEqual(versions)
        const next = await driver.write('g', {
          state: document('g', 1),
          entries: [],
          expected: versions.get('g'),
          trimThrough: 0,
        })
        await driver.remove('a')
        expect([...(await driver.versions())]).toEqual([
          ['B', versions.get('B')],
          ['g', next],
        ])
      })

      test.each([1, 2, 3, 6, 7, 8, 100])('walks seven nodes in order by pages of %i', async (limit) => {
        for (const node of ['g', 'c', 'a', 'B', 'f10', 'f9', 'd']) await create(node)
        expect(await walk(limit)).toEqual(['B', 'a', 'c', 'd', 'f10', 'f9', 'g'])
      })

      test('orders names by their bytes in UTF-8, whatever they are made of', async () => {
        const character = fc.constantFrom(
          'a',
          'B',
          '9',
          '/',
          ' ',
          '\u0000',
          'é',
          '\ue000',
          '\uffff',
          '😀',
          '\u{10ffff}',
        )
        const anyName = fc.string({ unit: character, minLength: 1, maxLength: 4 })
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(anyName, { maxLength: 12 }),
            fc.integer({ min: 1, max: 5 }),
            async (names, limit) => {
              for (const node of names) await create(node)
              const byBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
              expect(await walk(limit)).toEqual(byBytes)
              for (const node of names) await driver.remove(node)
            },
          ),
          { numRuns: 30 },
        )
      })

      test('skips and repeats no node that is there throughout, whatever comes and goes between pages', async () => {
        const names = range(10, 99).map((number) => `node${number}`)
        for (const node of names) await create(node)
        const kept = names.filter((_, index) => index % 3 !== 0)
        const passing = names.filter((_, index) => index % 3 === 0)
        const seen = await walk(4, async (page) => {
          const leaving = passing[page - 1]
          if (leaving !== undefined) await driver.remove(leaving)
          await create(`node${page + 9}-new`)
          await create(`aaa${page}`)
        })
        expect(seen.filter((node) => kept.includes(node))).toEqual(kept)
        expect(new Set(seen).size).toBe(seen.length)
      })

      test('goes on behind the place of a node that was removed since the page before', async () => {
        for (const node of ['a', 'b', 'c', 'd']) await create(node)
        const seen = await walk(2, async () => {
          for (const node of ['b', 'c']) await driver.remove(node)
        })
        expect(seen).toEqual(['a', 'b', 'd'])
      })
    })

    test.each([
      'node1.example.com',
      '节点-é-😀-\u{10ffff}',
      'a/b/../c',
      ' spaces  and\ttabs\n',
      '__proto__',
      'constructor',
      "'; DROP TABLE document; --",
      '%41%2F*?[]{}',
      'nul\u0000inside',
      'x'.repeat(5000),
      '',
    ])('keeps a node named %j apart from all others', async (node) => {
      const others = [`${node}2`, 'A', node.toUpperCase().concat('!')]
      for (const other of others) await create(other, 1)
      const version = await create(node, 2)
      expect(await driver.read(node)).toEqual({ state: document(node, 2), version })
      expect(await logOf(node)).toEqual([1, 2])
      expect((await driver.list({ limit: 10 })).nodes).toHaveLength(4)
      await driver.remove(node)
      expect(await driver.read(node)).toBeUndefined()
      for (const other of others) expect(await logOf(other)).toEqual([1])
    })

    test(`takes a document of ${documentKiB} KiB and a log of ${logEntries} entries`, async () => {
      // 19 bytes as JSON in JSON.
      const body = '{"é":"😀"}\n'.repeat(Math.ceil((documentKiB * 1024) / 19))
      const state: NodeState = {
        ...document('a', logEntries),
        quarantine: [{ receivedAt: '2026-11-23T00:00:00.000Z', reason: 'big', body }],
      }
      expect(Buffer.byteLength(JSON.stringify(state))).toBeGreaterThan(documentKiB * 1024)
      const written = { state, entries: entries(1, logEntries), expected: undefined, trimThrough: 0 }
      const version = await driver.write('a', written)
      expect(await driver.read('a')).toEqual({ state, version })
      expect(await driver.log('a', { after: 0, limit: logEntries + 1 })).toEqual(entries(1, logEntries))
      const after = logEntries - 10
      expect(numbers(await driver.log('a', { after, limit: 5 }))).toEqual(range(after + 1, after + 5))
    })
  })
}

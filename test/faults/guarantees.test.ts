import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = readFileSync(`${ROOT}docs/guarantees.md`, 'utf8')

/** `path`: “name of a test”, with … for what a table of tests fills in. */
const named = Array.from(PAGE.matchAll(/`(test\/[^`]+\.ts)`: “([^”]+)”/g), ([, file = '', name = '']) => ({
  file,
  name,
}))

test.each(named)('docs/guarantees.md names a test that is there: $name', ({ file, name }) => {
  const source = readFileSync(ROOT + file, 'utf8')
  expect(source.replaceAll(/\$\w+|%[sij]/g, '…')).toContain(`'${name}'`)
})

test('docs/guarantees.md names every file of this suite', () => {
  const files = readdirSync(`${ROOT}test/faults`).filter((name) => /\.(test|long)\.ts$/.test(name))
  const own = ['guarantees.test.ts', 'audit.test.ts']
  const missing = files.filter((name) => !own.includes(name) && !PAGE.includes(`\`test/faults/${name}\``))
  expect(missing).toEqual([])
})

test('each row of docs/guarantees.md names a test, or says by a dash that there is none', () => {
  const rows = PAGE.split('\n').filter((line) => /^\| (?!Fault|---)/.test(line))
  expect(rows.length).toBeGreaterThan(15)
  for (const row of rows) {
    const shown = row.split(' | ').at(-1) ?? ''
    expect(shown).toMatch(/“[^”]+”|^– \|$/)
  }
})

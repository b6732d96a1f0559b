import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { cut, cutNames, escaped, padded, plain, widthOf } from '#functions/status/terminal/text.ts'

test.each([
  ['worker-0', 8],
  ['ü/β', 3],
  ['漢字', 4],
  ['e\u0301', 1],
  ['🕐x', 3],
])('%s takes %i columns', (text, columns) => expect(widthOf(text)).toBe(columns))

test.each([
  ['a\u001b[31mb\u001b[0m', 'ab'],
  ['a\r\n\tb', 'a???b'],
  ['a\u009b2Jb', 'ab'],
  ['a\u202eb\u200fc\u2066d', 'a?b?c?d'],
  ['a\u2028b\ud800', 'a?b?'],
])('%j is shown as %s', (text, shown) => expect(plain(text)).toBe(shown))

const UNITS = [
  'a',
  'ü',
  '漢',
  '🕐',
  'e\u0301',
  '\u0301',
  '\u001b[31m',
  '\u001b',
  '\u009b',
  '\n',
  '\u202e',
  '\ud800',
  '…',
]

test('no text is wider than its column, nor narrower', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...UNITS) }),
      fc.integer({ min: 1, max: 30 }),
      (text, width) => {
        expect(widthOf(cut(plain(text), width))).toBeLessThanOrEqual(width)
        expect(widthOf(padded(plain(text), width))).toBe(width)
      },
    ),
  )
})

test.each([
  ['that fit stay', ['a', 'b'], ['a', 'b']],
  ['lose their end', ['worker-0.site-a', 'worker-1.site-a'], ['worker-0…', 'worker-1…']],
  ['lose their middle', ['long-worker-1', 'long-worker-2'], ['long…er-1', 'long…er-2']],
  ['lose their start', ['long-worker-1.example.com', 'long-worker-2.example.com'], ['…1.exam…', '…2.exam…']],
])('names that %s can be told apart', (_, names, shown) => {
  expect(cutNames(names, shown[0]?.length ?? 0)).toEqual(shown)
})

test('JSON keeps every character, and shows no terminal any that it would obey', () => {
  const text = 'a\u009b2J\u202e\u2028ü\u007f\u001b'
  const json = escaped(JSON.stringify(text))
  expect(JSON.parse(json)).toBe(text)
  expect(json).toBe('"a\\u009b2J\\u202e\\u2028ü\\u007f\\u001b"')
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as z from 'zod/mini'
import { createFits } from '#shared/fits.ts'
import { logEntry, nodeState } from '#shared/state/node-state.ts'

const reading = { at: 'then', state: 'LOCKED', metrics: { offset: '3' }, receivedAt: 'now' }
const span = { since: 'then', confirmedAt: 'now' }
const whole = {
  node: 'n1',
  incarnation: 'i',
  seq: 3,
  forwarded: 2,
  clocks: [
    {
      kind: 'lock-state',
      instance: 'ens5fx/master',
      state: null,
      metrics: { offset: '-7' },
      since: null,
      observedAt: 'then',
      receivedAt: 'now',
      confirmedAt: 'now',
      via: 'push',
      contested: false,
      retired: true,
      pushes: [reading],
      pushedAt: 'now',
      pull: { at: 'then', state: null, metrics: {}, sentAt: 'then', receivedAt: 'now' },
      undated: { from: 'LOCKED', to: 'HOLDOVER', notBefore: 'then', notAfter: 'now', sentAt: 'now' },
      unnamed: span,
    },
  ],
  absent: { 'clock-class': span },
  publisher: { url: 'u', dialect: 'd', reachable: true, checkedAt: 'now', problem: 'none' },
  subscriptions: [{ kind: 'k', address: '/a', id: '1', endpoint: 'e', confirmedAt: 'now' }],
  pending: [{ kind: 'k', requestedAt: 'now', queryTime: true }],
  counters: { received: 1, duplicate: 0, late: 0, missed: 0, quarantined: 0, clockSteps: 0, suspect: 0 },
  quarantine: [{ receivedAt: 'now', reason: 'r', body: 'b' }],
  announced: { overall: 'LOCKED', stale: false, blind: false },
}

const anything = fc.oneof(
  fc.constantFrom(null, true, 0, -1.5, '', 'push', [], {}),
  fc.jsonValue({ maxDepth: 2, noUnicodeString: true }),
)

/** Every place in a value, as the keys that lead there. */
function places(value: unknown, before: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [before]
  return [before, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...before, key]))]
}

/** The value with what is at the place replaced, or taken away. */
function changed(value: unknown, [key, ...rest]: readonly string[], by: { to?: unknown }): unknown {
  if (key === undefined) return by.to
  if (typeof value !== 'object' || value === null) return value
  if (rest.length === 0 && !('to' in by)) {
    return Array.isArray(value)
      ? value.filter((_, index) => String(index) !== key)
      : Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
  }
  const copy = Array.isArray(value) ? [...value] : { ...value }
  const inner: unknown = Object.entries(value).find(([name]) => name === key)?.[1]
  Object.defineProperty(copy, key, { value: changed(inner, rest, by), enumerable: true, writable: true })
  return copy
}

test('a document with all that one may have fits, and so does one with the least', () => {
  const fits = createFits(nodeState)
  expect(fits(whole)).toBe(true)
  const { forwarded: _, publisher: __, ...least } = whole
  expect(fits({ ...least, clocks: [], absent: {}, pending: [] })).toBe(true)
})

test('what fits is what the schema accepts and gives back as it is', () => {
  const fits = createFits(nodeState)
  const change = fc.oneof(fc.record({ to: anything }), fc.constant({}))
  fc.assert(
    fc.property(fc.constantFrom(...places(whole)), change, (place, by) => {
      const text = JSON.stringify(changed(whole, place, by)) ?? 'null'
      const parsed = nodeState.safeParse(JSON.parse(text))
      expect(fits(JSON.parse(text))).toBe(parsed.success && JSON.stringify(parsed.data) === text)
    }),
    { numRuns: 2000 },
  )
})

test('an entry of the log with another word or another key does not fit', () => {
  const fits = createFits(logEntry)
  const entry = { seq: 1, type: 'changed', via: 'push', overall: 'LOCKED' }
  expect(fits(entry)).toBe(true)
  expect(fits({ ...entry, via: 'hearsay' })).toBe(false)
  expect(fits({ ...entry, rumour: true })).toBe(false)
  expect(fits(JSON.parse('{"seq":1,"type":"changed","via":"push","overall":"LOCKED","__proto__":1}'))).toBe(
    false,
  )
})

test('what a schema asks for beyond the shapes of documents never fits', () => {
  for (const schema of [
    z.string().check(z.minLength(1)),
    z.email(),
    z.int(),
    z.array(z.string()).check(z.maxLength(3)),
    z.strictObject({ a: z.string() }),
    z.record(z.string().check(z.maxLength(3)), z.string()),
    z.union([z.string(), z.number()]),
    z.nullable(z.array(z.string())).check(z.refine((list) => list?.[0] === 'b')),
    z.optional(z.string()).check(z.refine((text) => text === 'b')),
    z.enum(['a', 'b']).check(z.refine((word) => word === 'b')),
    z.boolean().check(z.refine((yes) => !yes)),
    z.pipe(
      z.string(),
      z.transform((text) => text.length),
    ),
  ]) {
    const fits = createFits<unknown>(schema)
    for (const value of ['a', 'a@example.org', 1, true, [], ['a'], { a: 'a' }])
      expect(fits(value)).toBe(false)
  }
})

test('a name that no object can have as its own is left to the schema', () => {
  const fits = createFits(z.record(z.string(), z.string()))
  expect(fits(JSON.parse('{"a":"1"}'))).toBe(true)
  expect(fits(JSON.parse('{"a":"1","__proto__":"2"}'))).toBe(false)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countBySite, mostTainted, sizesOf, withinLimit } from '#functions/condition/brake.ts'
import type { Swept } from '#functions/condition/reconcile.ts'

const sweptNodes = fc
  .array(
    fc.record({
      site: fc.constantFrom('', 'a', 'b'),
      overall: fc.constantFrom('FREERUN', 'LOCKED', 'UNKNOWN', 'NotWatched'),
    }),
    { maxLength: 80 },
  )
  .map((all): Swept[] =>
    all.map((one, i) => ({
      ...one,
      node: { name: `n${i}`, uid: '', version: '', conditions: [], taints: [] },
    })),
  )

test('nobody loses a place, only those who free-run get one, and no site goes beyond its limit', () => {
  fc.assert(
    fc.property(sweptNodes, fc.array(fc.nat(80), { maxLength: 10 }), (swept, numbers) => {
      const held = new Set(numbers.map((number) => `n${number}`))
      const taken = withinLimit(held, swept)
      expect([...held].filter((name) => !taken.has(name))).toEqual([])
      const added = swept.filter(({ node }) => taken.has(node.name) && !held.has(node.name))
      expect(added.every(({ overall }) => overall === 'FREERUN')).toBe(true)
      const names = new Set(swept.map(({ node }) => node.name))
      const unseen = [...held].filter((name) => !names.has(name)).length
      const sizes = sizesOf(swept)
      for (const site of countBySite(swept).keys()) {
        const size = sizes.get(site) ?? 0
        const here = swept.filter((one) => one.site === site)
        const before = here.filter(({ node }) => held.has(node.name)).length
        const after = here.filter(({ node }) => taken.has(node.name)).length
        expect(after).toBeLessThanOrEqual(Math.max(before, mostTainted(size)))
        const waiting = here.some(({ node, overall }) => overall === 'FREERUN' && !taken.has(node.name))
        if (waiting) expect(after + unseen).toBeGreaterThanOrEqual(mostTainted(size))
        if (unseen > 0 && after > before) expect(after + unseen).toBeLessThanOrEqual(mostTainted(size))
      }
    }),
  )
})

test.each([
  [0, 1],
  [1, 1],
  [19, 1],
  [20, 2],
  [30, 3],
  [5000, 500],
])('of %i Nodes %i may be tainted at once', (nodes, limit) => {
  expect(mostTainted(nodes)).toBe(limit)
})

const found = (name: string, overall: Swept['overall'], site = ''): Swept => ({
  node: { name, uid: '', version: '', conditions: [], taints: [] },
  overall,
  site,
})

test('who is tainted and could not be looked at now still counts', () => {
  const others = Array.from({ length: 27 }, (_, i) => found(`n${i}`, 'FREERUN', 'a'))
  const held = new Set(['tainted-1', 'tainted-2', 'tainted-3'])
  expect(withinLimit(held, others)).toEqual(held)
})

test('nodes that were forgotten make no room for others', () => {
  const forgotten = Array.from({ length: 95 }, (_, i) => found(`old${i}`, 'NotWatched'))
  const watched = Array.from({ length: 5 }, (_, i) => found(`n${i}`, 'FREERUN'))
  expect(withinLimit(new Set(), [...forgotten, ...watched]).size).toBe(1)
})

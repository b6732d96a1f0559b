import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countBySite, limitOf, withinLimit } from '#functions/condition/brake.ts'
import type { Swept } from '#functions/condition/sweep.ts'

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
      for (const [site, size] of countBySite(swept)) {
        const here = swept.filter((one) => one.site === site)
        const before = here.filter(({ node }) => held.has(node.name)).length
        const after = here.filter(({ node }) => taken.has(node.name)).length
        expect(after).toBeLessThanOrEqual(Math.max(before, limitOf(size)))
        const waiting = here.some(({ node, overall }) => overall === 'FREERUN' && !taken.has(node.name))
        if (waiting) expect(after).toBeGreaterThanOrEqual(limitOf(size))
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
  expect(limitOf(nodes)).toBe(limit)
})

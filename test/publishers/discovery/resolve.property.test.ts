import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PublisherError } from '#shared/errors.ts'
import { type Asked, goneOf, type NodeBehind, resolve } from '#shared/publishers/discovery/resolve.ts'
import { shardOf } from '#shared/publishers/shard.ts'

const SERVICES = ['a', 'b', 'c', 'd'].map((name) => ({
  name: `ptp-event-publisher-service-${name}`,
  url: `http://${name}:9043`,
}))

const service = fc.constantFrom(...SERVICES)
/** The two names that the node behind a Service may have had. */
const nodeOf = (name: string) => fc.constantFrom('old', 'new').map((site) => `${name.at(-1)}.${site}`)

/** What the Services on a list say of themselves. */
const asked: fc.Arbitrary<Asked[]> = fc.uniqueArray(
  service.chain((one) =>
    fc.record({
      ...{ name: fc.constant(one.name), url: fc.constant(one.url) },
      says: fc.oneof(
        nodeOf(one.name),
        fc.constant(undefined),
        fc.constant(new PublisherError('timeout', 'late', { url: '' })),
      ),
    }),
  ),
  { selector: (each) => each.name },
)

const known: fc.Arbitrary<NodeBehind[]> = fc.uniqueArray(
  service.chain(({ name, url }) =>
    fc.record({
      node: nodeOf(name),
      service: fc.constant(name),
      ...{ url: fc.constant(url), dialect: fc.constant('red-hat-v2'), reachable: fc.boolean() },
      checkedAt: fc.constantFrom('2026-11-23T12:00:00.000Z', '2026-11-23T12:00:01.000Z'),
      goneSince: fc.constantFrom(undefined, '2026-11-23T11:00:00.000Z'),
    }),
  ),
  { selector: (each) => each.node },
)

test('no node is behind two Services, and none that is behind one is gone', () => {
  fc.assert(
    fc.property(asked, known, (each, nodes) => {
      const found = resolve(each, nodes).flatMap((one) => one.node ?? [])
      expect(new Set(found).size).toBe(found.length)
      const gone = goneOf(nodes, each).map((one) => one.node)
      expect(gone.filter((one) => found.includes(one))).toEqual([])
    }),
  )
})

test('a node that is known is behind a Service, gone, or one whose Service says nothing while it was gone before', () => {
  fc.assert(
    fc.property(asked, known, (each, nodes) => {
      const found = new Set(resolve(each, nodes).flatMap((one) => one.node ?? []))
      const gone = new Set(goneOf(nodes, each))
      for (const one of nodes) {
        if (found.has(one.node) || gone.has(one)) continue
        // Two nodes cannot be behind one Service that does not say which it is: the one checked last is.
        const rivals = nodes.filter((other) => other.service === one.service && found.has(other.node))
        expect(rivals).not.toEqual([])
      }
    }),
  )
})

test('a Service that says nothing makes nobody gone that was there', () => {
  fc.assert(
    fc.property(asked, known, (each, nodes) => {
      const silent = new Set(each.filter(({ says }) => typeof says !== 'string').map(({ name }) => name))
      const newly = goneOf(nodes, each).filter(({ goneSince }) => goneSince === undefined)
      expect(newly.filter((one) => silent.has(one.service))).toEqual([])
    }),
  )
})

test('each Service belongs to one part, whoever else is there', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 10_000 }), (name, count) => {
      const part = shardOf(name, count)
      expect(Number.isInteger(part) && part >= 0 && part < count && part === shardOf(name, count)).toBe(true)
    }),
  )
})

test('behind a Service whose publisher says nothing is the node that was last seen there', () => {
  const [first] = SERVICES
  const seen = (node: string, second: number): NodeBehind => ({
    ...{ node, service: first?.name ?? '', url: first?.url ?? '', dialect: 'red-hat-v2', reachable: true },
    checkedAt: `2026-11-23T12:00:0${second}.000Z`,
    goneSince: undefined,
  })
  const silent = SERVICES.slice(0, 1).map((each) => ({ ...each, says: undefined }))
  for (const known of [
    [seen('a.old', 0), seen('a.new', 1)],
    [seen('a.new', 1), seen('a.old', 0)],
  ]) {
    expect(resolve(silent, known).map(({ node }) => node)).toEqual(['a.new'])
  }
})

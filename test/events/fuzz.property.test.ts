import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCloudEvent } from '#shared/events/cloudevent.ts'
import { normalise } from '#shared/events/normalise.ts'
import { nanoseconds } from '#shared/time.ts'
import { context, event, NODE, TIME, TYPES, value } from './builders.ts'
import { recordedBodies, releases } from './recorded.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

const bodies: readonly Json[] = releases
  .flatMap(recordedBodies)
  .filter((_, index) => index % 7 === 0)
  .map(({ body }) => JSON.parse(JSON.stringify(body)))

const awkward = fc.constantFrom<Json>(
  ...[
    '',
    'LOCKED',
    'locked',
    'FREERUN',
    'ptp-not-set',
    '0',
    '-1e+16',
    '-9999999999999999',
    '1e309',
    'NaN',
    '__proto__',
  ],
  ...[
    '/',
    '//',
    '/cluster/node/',
    '/cluster/node/other/a',
    '/././a',
    '*',
    '\ud800',
    '\u0000',
    TIME,
    '0001-01-01T00:00:00Z',
  ],
  ...[null, true, 0, -1e16, 1e308, [], {}],
)
const names = fc.constantFrom(
  ...['data', 'values', 'value', 'ResourceAddress', 'resource', 'type', 'source', 'subject', 'time', 'id'],
  ...[
    'ResourceType',
    'EventData',
    'State',
    'EventTimestamp',
    'ptp_lock_state',
    '__proto__',
    'constructor',
    'length',
  ],
)

/** JSON of the shapes and names that events are made of, nested in every wrong way. */
const shaped: fc.Arbitrary<Json> = fc.letrec<{ node: Json }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    awkward,
    fc.constantFrom<Json>(...Object.values(TYPES)),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(names, tie('node'), { maxKeys: 6 }),
  ),
})).node

/** A recorded body of which some parts were replaced, dropped, doubled or wrapped. */
const mutated: fc.Arbitrary<Json> = fc
  .tuple(
    fc.constantFrom(...bodies),
    fc.array(fc.record({ where: fc.nat(), how: fc.nat(4), put: fc.oneof(awkward, shaped) }), {
      minLength: 1,
      maxLength: 4,
    }),
  )
  .map(([body, edits]) =>
    edits.reduce((current, edit) => {
      let seen = 0
      const size = count(current)
      const target = edit.where % size
      const walk = (part: Json): Json => {
        if (seen++ === target) return mutate(part, edit.how, edit.put)
        if (Array.isArray(part)) return part.map(walk)
        if (typeof part !== 'object' || part === null) return part
        return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, walk(inner)]))
      }
      return walk(current)
    }, body),
  )

function count(part: Json): number {
  if (typeof part !== 'object' || part === null) return 1
  return Object.values(part).reduce<number>((sum, inner) => sum + count(inner), 1)
}

function mutate(part: Json, how: number, put: Json): Json {
  if (how === 0) return [part, part]
  if (how === 1) return { key: part }
  if (how === 2 && typeof part === 'string') return part.slice(part.length / 2)
  if (how === 3 && typeof part === 'string') return part.toLowerCase()
  return put
}

/** What must hold of whatever comes in; `node` is the one that the callback path names. */
function check(body: Json, node: string | undefined): void {
  const text = JSON.stringify(body)
  const { observations, named, placeholders, problems } = normalise(body, { ...context, node })
  const size = count(body)
  expect(observations.length + named.length + placeholders.length).toBeLessThanOrEqual(size)
  expect(problems.length).toBeLessThanOrEqual(16)
  for (const { message } of problems) expect(message.length).toBeLessThan(600)
  for (const observation of observations) {
    if (node !== undefined) expect(observation.node).toBe(node)
    expect(observation.node.length).toBeLessThanOrEqual(253)
    expect(observation.kind.length).toBeLessThanOrEqual(200)
    expect(observation.instance.length).toBeLessThanOrEqual(256)
    expect(observation.instance).not.toBe('')
    expect(observation.state?.length ?? 0).toBeLessThanOrEqual(64)
    expect(Object.keys(observation.metrics).length).toBeLessThanOrEqual(6)
    for (const metric of Object.values(observation.metrics)) {
      expect(Number(metric)).not.toBeNaN()
      expect(metric.length).toBeLessThanOrEqual(64)
    }
    expect(() => nanoseconds(observation.at)).not.toThrow()
    expect(
      `${observation.node}${observation.kind}${observation.instance}${observation.state}`.isWellFormed(),
    ).toBe(true)
    if (observation.state === 'LOCKED') expect(text).toMatch(/"\s*locked\s*"/i)
  }
}

describe('whatever JSON comes in, the answer is bounded, and LOCKED only where the word stood', () => {
  const nodes = fc.constantFrom(NODE, undefined)

  test('arbitrary JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), nodes, (body, node) => {
        check(JSON.parse(JSON.stringify(body)), node)
      }),
      { numRuns: 1000 },
    )
  })

  test('JSON with the names that events have', () => {
    fc.assert(fc.property(shaped, nodes, check), { numRuns: 1000 })
  })

  test('recorded bodies with parts replaced, dropped, doubled and wrapped', () => {
    fc.assert(fc.property(mutated, nodes, check), { numRuns: 1500 })
  })

  test('any words in any spelling', () => {
    const kinds = fc.constantFrom<keyof typeof TYPES>('lock-state', 'os-clock-sync-state', 'sync-state')
    fc.assert(
      fc.property(kinds, fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }), (kind, words) => {
        check(
          JSON.parse(
            JSON.stringify(
              event(
                kind,
                words.map((word) => value('a', word)),
              ),
            ),
          ),
          NODE,
        )
      }),
      { numRuns: 1000 },
    )
  })
})

test('the recorded bodies that are mutated are readings to begin with', () => {
  const read = bodies.filter((body) => normalise(body, context).observations.length > 0)
  expect(read.length).toBeGreaterThan(bodies.length * 0.8)
})

test('whatever a Broker delivers is a CloudEvent with all of its attributes, or is refused with a reason', () => {
  const header = fc.constantFrom(
    ...['content-type', 'ce-specversion', 'ce-id', 'ce-source', 'ce-type', 'ce-time', 'ce-subject', 'ce-x'],
  )
  const text = fc.oneof(
    fc.constantFrom('1.0', '0.3', 'application/json', 'application/cloudevents+json', TIME, '%', ''),
    fc.string(),
  )
  const body = fc.oneof(
    fc.uint8Array(),
    fc.json().map((json) => new TextEncoder().encode(json)),
  )
  fc.assert(
    fc.property(fc.dictionary(header, text), body, (headers, bytes) => {
      const read = () =>
        readCloudEvent({ 'content-type': 'application/json', 'ce-specversion': '1.0', ...headers }, bytes)
      try {
        const { id, source, type, specversion } = read()
        expect([id, source, type]).not.toContain('')
        expect(specversion).toMatch(/^(1\.0|0\.3)$/)
      } catch (error) {
        expect(error).toMatchObject({
          name: 'MalformedEventError',
          code: expect.stringMatching(/^(unsupported-media-type|not-json|no-cloudevent)$/),
          retryable: false,
        })
      }
    }),
    { numRuns: 1000 },
  )
})

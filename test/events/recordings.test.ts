import { describe, expect, test } from 'vitest'
import { normalise } from '#shared/events/normalise.ts'
import { KIND_NAMES } from '#shared/kinds.ts'
import { NODE, type Recorded, recordedBodies, releases } from './recorded.ts'

const readAs = ({ body, how }: Recorded, node?: string) =>
  normalise(body, { node, receivedAt: '2026-11-23T06:00:00.000Z', via: how === 'pull' ? 'poll' : how })
const read = (body: Recorded) => readAs(body, NODE)

const knownKinds: ReadonlySet<string> = new Set(KIND_NAMES)

/** The clocks that the log lines fed to the recorded publishers speak of, under the name that a push gives them. */
const clocks: ReadonlySet<string> = new Set([
  ...['ens5fx/master', 'ens7fx/master', 'ens9f0/master'].flatMap((port) => [
    `lock-state ${port}`,
    `clock-class ${port}`,
  ]),
  'gnss-sync-status ens7fx/master',
  'os-clock-sync-state CLOCK_REALTIME',
  'sync-state node',
  ...['synce1/ens7f0', 'synce1/ens7f1'].flatMap((port) => [
    `synce-lock-state ${port}`,
    `synce-clock-quality ${port}`,
  ]),
])

/** Before its alias is known, a clock is named by its role alone; 4.14 and 4.18 then answer pulls of GNSS (§5). */
const beforeAlias = 'gnss-sync-status master'

const clockOf = ({ kind, instance }: { kind: string; instance: string }) => `${kind} ${instance}`

describe.each(releases)('every recorded body of %s', (release) => {
  const bodies = recordedBodies(release)
  const by = (how: Recorded['how']) => bodies.filter((body) => body.how === how)
  const clocksIn = (some: readonly Recorded[]) =>
    new Set(some.flatMap((body) => read(body).observations.map(clockOf)))

  test('is read without a problem', () => {
    const problems = bodies.flatMap((body) => read(body).problems.map((problem) => ({ ...problem, body })))
    expect(problems).toEqual([])
    expect(bodies.length).toBeGreaterThan(80)
  })

  test('speaks of the node that the recording is of, also where nobody says which to expect', () => {
    const nodes = bodies.flatMap((body) => readAs(body).observations.map((reading) => reading.node))
    expect(new Set(nodes)).toEqual(new Set([NODE]))
  })

  test('gives a reading, names a clock without one, or is a placeholder', () => {
    const silent = bodies.filter((body) => {
      const { observations, named, placeholders } = read(body)
      return observations.length + named.length + placeholders.length === 0
    })
    expect(silent).toEqual([])
  })

  test('is of a known kind and of a clock that is there', () => {
    const found = bodies.flatMap((body) => read(body).observations)
    expect(found.filter(({ kind }) => !knownKinds.has(kind))).toEqual([])
    const strangers = new Set(found.map(clockOf).filter((clock) => !clocks.has(clock)))
    strangers.delete(beforeAlias)
    expect([...strangers]).toEqual([])
  })

  test('names a clock in a push as in a pull', () => {
    const pushed = clocksIn(by('push'))
    const pulled = clocksIn(by('pull'))
    pulled.delete(beforeAlias)
    // SyncE is pushed by a sidecar but cannot be pulled through it (protocol.md §5).
    const pullable = [...pushed].filter((clock) => !(release.includes('v1') && clock.startsWith('synce')))
    expect([...pulled].sort()).toEqual(pullable.sort())
  })

  test('names a clock in an initial notification as in a push', () => {
    const pushed = clocksIn(by('push'))
    expect([...clocksIn(by('initial'))].filter((clock) => !pushed.has(clock))).toEqual([])
  })

  test('is LOCKED only where the publisher wrote the word', () => {
    const wrong = bodies.filter(
      (body) =>
        read(body).observations.some((reading) => reading.state === 'LOCKED') &&
        !JSON.stringify(body.body).includes('"LOCKED"'),
    )
    expect(wrong).toEqual([])
  })

  test('has no offset where the publisher sent the sentinel', () => {
    const offsets = bodies.flatMap((body) =>
      read(body).observations.map((reading) => Number(reading.metrics.offset ?? 0)),
    )
    expect(Math.min(...offsets)).toBeGreaterThan(-9.99e15)
  })
})

test('the recordings hold what the tests above are about', () => {
  const all = releases.flatMap(recordedBodies)
  const text = all.map(({ body }) => JSON.stringify(body)).join('\n')
  for (const part of [
    'ptp-not-set',
    'event-not-found',
    '-9999999999999999',
    '"-1e+16"',
    'CLOCK_CLASS',
    'ExtQL',
  ]) {
    expect(text).toContain(part)
  }
  const contested = all.filter((body) => {
    const { observations } = read(body)
    return new Set(observations.map(clockOf)).size < observations.length
  })
  // Two configs discipline one clock: only pulls say so, and what is read at query time.
  expect(contested.length).toBeGreaterThan(10)
  expect(new Set(contested.map(({ how }) => how))).not.toContain('push')
  expect(new Set(contested.flatMap((body) => read(body).observations.map(({ kind }) => kind)))).not.toContain(
    'clock-class',
  )
})

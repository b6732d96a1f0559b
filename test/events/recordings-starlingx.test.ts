import { describe, expect, test } from 'vitest'
import { normalise } from '#shared/events/normalise.ts'
import { type Recorded, recordedBodies } from './recorded.ts'

/** What the hosts of the recording have, in both formats. */
const CLOCKS = {
  'controller-0': [
    ...['ptp-inst1', 'ptp-inst2'].flatMap((name) => [`lock-state ${name}`, `clock-class ${name}`]),
    'gnss-sync-status ts1',
    'synce-lock-state synce-inst1',
    'synce-clock-quality synce-inst1',
    'os-clock-sync-state CLOCK_REALTIME',
    'sync-state node',
  ],
  'controller-1': [
    'lock-state ptp-inst1',
    'clock-class ptp-inst1',
    'os-clock-sync-state CLOCK_REALTIME',
    'sync-state node',
  ],
}

const all = recordedBodies('starlingx-v2').filter(({ body }) => !JSON.stringify(body).includes('"/./*/'))
const textOf = ({ body }: Recorded) => JSON.stringify(body)
const isLegacy = ({ body }: Recorded) =>
  typeof body === 'object' && body !== null && !Array.isArray(body) && !('specversion' in body)

describe.each(Object.entries(CLOCKS))('every recorded body of StarlingX that is of %s', (node, clocks) => {
  const bodies = all.filter((body) => textOf(body).includes(`"/./${node}/`))
  const clocksIn = (some: readonly Recorded[]) => {
    const found = some.flatMap(({ body }) => read(body, node).observations)
    return [...new Set(found.map(({ kind, instance }) => `${kind} ${instance}`))].sort()
  }

  test('is read whole, with a time', () => {
    expect(bodies.length).toBeGreaterThan(80)
    for (const { n, body } of bodies) {
      const found = read(body, node)
      expect({ n, problems: found.problems, none: found.observations.length === 0 }).toEqual({
        n,
        problems: [],
        none: false,
      })
      for (const { at } of found.observations) expect(at).toMatch(/^2026-11-28T0\d:\d\d:\d\d\.\d{6}Z$/)
    }
  })

  test.each(['standard', 'legacy'])(
    'names the same clocks by push, initial notification and pull, %s',
    (format) => {
      const ofFormat = bodies.filter((body) => isLegacy(body) === (format === 'legacy'))
      for (const how of ['initial', 'pull', 'push'] as const) {
        const some = ofFormat.filter((body) => body.how === how)
        const found = clocksIn(some)
        expect(clocks).toEqual(expect.arrayContaining(found))
        // Not all of them changed, or were subscribed to.
        if (how === 'pull') expect(found).toEqual(clocks.toSorted())
      }
    },
  )
})

function read(body: unknown, node: string) {
  return normalise(body, { node, receivedAt: '2026-11-28T03:00:00.000Z', via: 'push' })
}

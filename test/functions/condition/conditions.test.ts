import { expect, test } from 'vitest'
import { conditionsOf, isOutdated, patchFor } from '#functions/condition/conditions.ts'
import type { NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { viewOf } from '#shared/state/view.ts'
import { isoTime } from '#shared/time.ts'
import { clockAt, lockedNode } from '../fleet.ts'

const NOW = Date.parse('2026-11-28T15:00:00.500Z')
const OLD = NOW - 600_000
const lock = (fields: object, at = NOW) => clockAt(at, 'lock-state', 'ens1f0', fields)
const os = (at = NOW) => clockAt(at, 'os-clock-sync-state', 'CLOCK_REALTIME', {})
const suspect = { told: 'FREERUN', at: isoTime(OLD), receivedAt: isoTime(NOW) }
const publisher = {
  url: '',
  dialect: '',
  reachable: false,
  checkedAt: isoTime(NOW),
  blindSince: isoTime(NOW),
}

test.each<
  [name: string, state: Partial<NodeState>, synchronized: string, notFreerunning: string, message: RegExp]
>([
  [
    'locked',
    { clocks: [lock({}), os()] },
    'True Locked',
    'True Locked',
    /^LOCKED since 2026-11-28T15:00:00\.500Z$/,
  ],
  [
    'in holdover',
    { clocks: [lock({ state: 'HOLDOVER' }), os()] },
    'False Holdover',
    'True Holdover',
    /^HOLDOVER since .*: lock-state of ens1f0 is HOLDOVER$/,
  ],
  [
    'free-running',
    { clocks: [lock({ state: 'FREERUN' }), os()] },
    'False Freerun',
    'False Freerun',
    /^FREERUN since .*: lock-state of ens1f0 is FREERUN$/,
  ],
  [
    'free-running by a poll alone',
    { clocks: [lock({ state: 'FREERUN', since: null }), os()] },
    'False Freerun',
    'False Freerun',
    /or earlier: /,
  ],
  [
    'free-running and silent',
    { clocks: [lock({ state: 'FREERUN' }, OLD), os(OLD)] },
    'False Freerun',
    'False Freerun',
    /unconfirmed/,
  ],
  [
    'silent',
    { clocks: [lock({}, OLD), os()] },
    'Unknown Stale',
    'Unknown Stale',
    /^UNKNOWN: nothing has confirmed lock-state of ens1f0 since /,
  ],
  [
    'suspect',
    { clocks: [lock({ suspect }), os()] },
    'Unknown Suspect',
    'Unknown Suspect',
    /too late to be believed/,
  ],
  ['blind', { publisher }, 'Unknown Blind', 'Unknown Blind', /no subscription and no poll/],
  [
    'without a clock',
    { clocks: [lock({})] },
    'Unknown Unknown',
    'Unknown Unknown',
    /no os-clock-sync-state known yet/,
  ],
  [
    'UNKNOWN by its own word',
    { clocks: [lock({ state: 'UNKNOWN' }), os()] },
    'Unknown Unknown',
    'Unknown Unknown',
    /is UNKNOWN/,
  ],
])('a node that is %s', (_, state, synchronized, notFreerunning, message) => {
  const found = conditionsOf(viewOf(lockedNode('n', NOW, state), NOW, defaultSettings))
  expect(found.map(({ status, reason }) => `${status} ${reason}`)).toEqual([synchronized, notFreerunning])
  for (const condition of found) expect(condition.message).toMatch(message)
})

const WANTED = conditionsOf(viewOf(lockedNode('n', NOW), NOW, defaultSettings))
const before = WANTED.map((one) => ({ ...one, lastHeartbeatTime: 'before', lastTransitionTime: 'before' }))

test('what is said already is not patched, but for the heartbeat of a sweep', () => {
  expect(patchFor(before, WANTED, NOW, { heartbeat: false })).toBeUndefined()
  expect(patchFor(before, WANTED, NOW, { heartbeat: true })).toEqual(
    WANTED.map((one) => ({
      ...one,
      lastHeartbeatTime: '2026-11-28T15:00:00Z',
      lastTransitionTime: 'before',
    })),
  )
})

test.each([
  ['status', 'False', '2026-11-28T15:00:00Z'],
  ['reason', 'Else', 'before'],
  ['message', 'else', 'before'],
])(
  'another %s is patched at once; it is a transition only where the status differs',
  (field, value, transition) => {
    const [first, second] = before
    const patch = patchFor(
      [
        {
          ...first,
          [field]: value,
          type: first?.type ?? '',
          status: field === 'status' ? value : (first?.status ?? ''),
        },
        ...(second ? [second] : []),
      ],
      WANTED,
      NOW,
      { heartbeat: false },
    )
    expect(patch?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([transition, 'before'])
  },
)

test('a Node that has none of them gets both, with the time of now', () => {
  expect(patchFor([], WANTED, NOW, { heartbeat: false })).toMatchObject(
    WANTED.map((one) => ({ ...one, lastTransitionTime: '2026-11-28T15:00:00Z' })),
  )
})

test.each([
  ['just now', 0, false],
  ['three minutes ago', -180_000, true],
  ['a little ahead, by another host', 5_000, false],
  ['an hour ahead: our clock was set back', 3_600_000, true],
])('a heartbeat of %s vouches for a condition or does not', (_, ms, outdated) => {
  const current = before.map((one) => ({ ...one, lastHeartbeatTime: new Date(NOW + ms).toISOString() }))
  expect(isOutdated(current, NOW)).toBe(outdated)
})

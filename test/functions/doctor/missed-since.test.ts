import { expect, test } from 'vitest'
import { missedSinceSubscribed } from '#functions/doctor/checks/metrics.ts'
import { emptyNodeState, type LogEntry } from '#shared/state/document.ts'

const at = (minute: number) => `2026-11-28T03:0${minute}:00.000Z`
const entry = (type: LogEntry['type'], notBefore: number, notAfter: number): LogEntry => ({
  ...{ seq: 1, type, via: 'poll', overall: 'LOCKED' },
  ...{ notBefore: at(notBefore), notAfter: at(notAfter) },
})
const since = (...log: LogEntry[]) =>
  missedSinceSubscribed(emptyNodeState('node1.example.com', 'made'), { log: async () => log })

test.each([
  ['nothing was missed', [], false],
  ['something was, and no subscription was ever lost', [entry('missed', 1, 2)], true],
  [
    'it was missed while the subscriptions were gone',
    [entry('restored', 0, 3), entry('missed', 2, 3)],
    false,
  ],
  ['it was missed since they were recreated', [entry('restored', 0, 3), entry('missed', 4, 5)], true],
  [
    'they were lost twice, and it was missed in between',
    [entry('restored', 0, 1), entry('missed', 2, 3), entry('restored', 3, 4)],
    false,
  ],
])('deliveries that failed are blamed only for what came after: %s', async (_, log, blamed) => {
  expect(await since(...log)).toBe(blamed)
})

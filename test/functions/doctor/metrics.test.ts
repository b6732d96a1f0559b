import { expect, test } from 'vitest'
import { missedSinceSubscribed, sumIn } from '#functions/doctor/events.ts'
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

const PAGE = `# HELP cne_events_received Metric to get number of events received
# TYPE cne_events_received gauge
cne_events_received{status="success",type="/cluster/node/n/sync/ptp-status/lock-state"} 3
cne_events_received{status="success",type="with \\"quotes\\", commas and } braces"} 4
cne_events_received{status="failed",type="x"} 1e+06
cne_transport_connection_reset 2
cne_broken{status="success" 9
cne_odd{status="success"} NaN
`

test.each([
  ['cne_events_received', 'success', 7],
  ['cne_events_received', 'failed', 1_000_000],
  ['cne_events_received', undefined, 1_000_007],
  ['cne_transport_connection_reset', undefined, 2],
  ['cne_broken', undefined, 0],
  ['cne_odd', undefined, 0],
  ['cne_events', undefined, 0],
])('the sum of %s with status %s is %d', (name, status, sum) => {
  expect(sumIn(PAGE, name, status)).toBe(sum)
})

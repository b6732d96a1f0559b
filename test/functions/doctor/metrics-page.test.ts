import { expect, test } from 'vitest'
import { readMetrics } from '#functions/doctor/checks/metrics.ts'

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
  ['cne_events_received', { status: 'success' }, 7],
  ['cne_events_received', { status: 'failed' }, 1_000_000],
  ['cne_events_received', {}, 1_000_007],
  ['cne_events_received', { type: 'with \\"quotes\\", commas and } braces' }, 4],
  ['cne_transport_connection_reset', {}, 2],
  ['cne_broken', {}, 0],
  ['cne_odd', {}, 0],
  ['cne_events', {}, 0],
])('the sum of %s with %o is %d', (name, labels, sum) => {
  expect(readMetrics(PAGE).sum(name, labels)).toBe(sum)
})

test('a page has what begins so', () => {
  expect(readMetrics(PAGE).has('cne_')).toBe(true)
  expect(readMetrics(PAGE).has('openshift_')).toBe(false)
  expect(readMetrics('<html>').has('')).toBe(false)
})

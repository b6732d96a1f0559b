import { expect, test } from 'vitest'
import { createMetrics } from '#shared/metrics.ts'

test('a counter is exposed at 0 for every combination of its labels before it first counts', () => {
  const metrics = createMetrics()
  const counter = metrics.counter({
    name: 'ptp_watch_events_total',
    help: 'Events taken in.',
    labels: { outcome: ['applied', 'late'], via: ['push', 'poll'] },
  })
  counter.inc({ outcome: 'late', via: 'push' })
  counter.inc({ outcome: 'late', via: 'push' }, 2)
  expect(metrics.text()).toBe(
    [
      '# HELP ptp_watch_events_total Events taken in.',
      '# TYPE ptp_watch_events_total counter',
      'ptp_watch_events_total{outcome="applied",via="push"} 0',
      'ptp_watch_events_total{outcome="applied",via="poll"} 0',
      'ptp_watch_events_total{outcome="late",via="push"} 3',
      'ptp_watch_events_total{outcome="late",via="poll"} 0',
      '',
    ].join('\n'),
  )
})

test('a gauge goes up and down, and infinities are written as Prometheus writes them', () => {
  const metrics = createMetrics()
  const gauge = metrics.gauge({ name: 'ptp_watch_buffer_events', help: 'Waiting.' })
  const value = () => metrics.text().split('\n')[2]
  expect(value()).toBe('ptp_watch_buffer_events 0')
  gauge.set({}, 1.5)
  expect(value()).toBe('ptp_watch_buffer_events 1.5')
  gauge.set({}, -Infinity)
  expect(value()).toBe('ptp_watch_buffer_events -Inf')
  gauge.set({}, Number.NaN)
  expect(value()).toBe('ptp_watch_buffer_events NaN')
})

test('the buckets of a histogram are cumulative and end in the count', () => {
  const metrics = createMetrics()
  const histogram = metrics.histogram({
    name: 'ptp_watch_write_seconds',
    help: 'Writes.',
    labels: { driver: ['sqlite'] },
    buckets: [0.01, 0.1],
  })
  for (const value of [0.001, 0.01, 0.05, 7]) histogram.observe({ driver: 'sqlite' }, value)
  expect(metrics.text().split('\n').slice(1)).toEqual([
    '# TYPE ptp_watch_write_seconds histogram',
    'ptp_watch_write_seconds_bucket{driver="sqlite",le="0.01"} 2',
    'ptp_watch_write_seconds_bucket{driver="sqlite",le="0.1"} 3',
    'ptp_watch_write_seconds_bucket{driver="sqlite",le="+Inf"} 4',
    'ptp_watch_write_seconds_sum{driver="sqlite"} 7.061',
    'ptp_watch_write_seconds_count{driver="sqlite"} 4',
    '',
  ])
})

test('help and label values are escaped', () => {
  const metrics = createMetrics()
  metrics.counter({ name: 'ptp_watch_odd_total', help: 'a\\b\nc', labels: { what: ['a"b\\c\nd'] } })
  expect(metrics.text()).toBe(
    '# HELP ptp_watch_odd_total a\\\\b\\nc\n# TYPE ptp_watch_odd_total counter\nptp_watch_odd_total{what="a\\"b\\\\c\\nd"} 0\n',
  )
})

test('metrics are exposed in the order of their definition, and an empty registry is an empty text', () => {
  const metrics = createMetrics()
  expect(metrics.text()).toBe('')
  metrics.gauge({ name: 'ptp_watch_b', help: 'B.' })
  metrics.gauge({ name: 'ptp_watch_a', help: 'A.' })
  expect(metrics.text().match(/^ptp_watch_\w/gm)).toEqual(['ptp_watch_b', 'ptp_watch_a'])
})

test('what would break the exposition is refused when it is defined or counted', () => {
  const metrics = createMetrics()
  const labels: Record<string, readonly string[]> = { a: ['x'] }
  const counter = metrics.counter({ name: 'ptp_watch_x_total', help: '', labels })
  expect(() => metrics.gauge({ name: 'ptp_watch_x_total', help: '' })).toThrow('defined twice')
  expect(() => metrics.gauge({ name: 'ptp-watch', help: '' })).toThrow('no name')
  expect(() => metrics.counter({ name: 'ptp_watch_x', help: '' })).toThrow('_total')
  expect(() => counter.inc({ a: 'y' })).toThrow('no series')
  expect(() => counter.inc({ a: 'x' }, -1)).toThrow('cannot go down')
  expect(() => counter.inc({ a: 'x' }, Number.NaN)).toThrow('cannot go down')
})

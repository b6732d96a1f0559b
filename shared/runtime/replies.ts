import type { Metrics } from '#shared/metrics.ts'

const STATUSES = [
  '200',
  '202',
  '204',
  '400',
  '403',
  '404',
  '405',
  '408',
  '413',
  '415',
  '417',
  '431',
  '500',
  '503',
  'other',
] as const
type Status = (typeof STATUSES)[number]

/** Counts every reply of a server by its status, those to what never reached the function included. */
export function createReplyCount(metrics: Metrics): (status: number) => void {
  const replies = metrics.counter({
    name: 'ptp_watch_http_replies_total',
    help: 'HTTP replies by status. 400, 408, 413, 417 and 431 may be the server’s own, to what reached no function.',
    labels: { status: STATUSES },
  })
  const labels = new Map(STATUSES.map((status): [number, { status: Status }] => [Number(status), { status }]))
  const other = { status: 'other' } as const
  return (status) => replies.inc(labels.get(status) ?? other)
}

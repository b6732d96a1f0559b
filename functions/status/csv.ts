import { lineOf } from '#shared/state/log-csv.ts'
import type { NodeView } from '#shared/state/view.ts'
import { beganOf, isDoubted } from './select.ts'

type Column = readonly [head: string, cell: (view: NodeView) => string]

const KINDS = [
  'lock-state',
  'os-clock-sync-state',
  'gnss-sync-status',
  'sync-state',
  'synce-lock-state',
] as const

const COLUMNS: readonly Column[] = [
  ['node', ({ node }) => node],
  ['overall', ({ overall }) => overall],
  ['stale', ({ stale }) => String(stale)],
  ['suspect', ({ suspect }) => String(suspect)],
  ['blind', ({ blind }) => String(blind)],
  ['since', (view) => timeOf(view, false)],
  ['not_after', (view) => timeOf(view, true)],
  ...KINDS.map((kind): Column => [kind.replaceAll('-', '_'), (view) => clocksOf(view, kind)]),
  ['clock_class', (view) => numbersOf(view, 'clock-class', 'clockClass')],
  ['ql', (view) => numbersOf(view, 'synce-clock-quality', 'ql')],
  ['publisher', ({ publisher }) => publisher?.url ?? ''],
  ['reachable', ({ publisher }) => String(publisher?.reachable ?? '')],
  ['checked_at', ({ publisher }) => publisher?.checkedAt ?? ''],
  ['missed', ({ counters }) => String(counters.missed)],
  [
    'labels',
    ({ labels }) =>
      Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
  ],
]

/** A line for each node (RFC 4180), with its clocks spelled `<instance>=<state>`, a `?` behind what is in doubt. */
export function fleetCsv(views: readonly NodeView[]): string {
  const lines = [COLUMNS.map(([head]) => head), ...views.map((view) => COLUMNS.map(([, cell]) => cell(view)))]
  return lines.map(lineOf).join('')
}

function timeOf(view: NodeView, orBefore: boolean): string {
  const began = beganOf(view)
  return began?.orBefore === orBefore ? new Date(began.at).toISOString() : ''
}

function clocksOf(view: NodeView, kind: string): string {
  return view.resources
    .filter((clock) => clock.kind === kind && clock.state !== null)
    .map((clock) => `${clock.instance}=${clock.state}${isDoubted(view, clock) ? '?' : ''}`)
    .join(' ')
}

function numbersOf(view: NodeView, kind: string, metric: string): string {
  return view.resources
    .filter((clock) => clock.kind === kind && clock.metrics[metric] !== undefined)
    .map((clock) => `${clock.instance}=${clock.metrics[metric]}${isDoubted(view, clock) ? '?' : ''}`)
    .join(' ')
}

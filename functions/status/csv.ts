import type { NodeView } from '#shared/state/view.ts'
import { beganOf } from './select.ts'

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
  ['since', (view) => timeOf(view, false)],
  ['not_after', (view) => timeOf(view, true)],
  ...KINDS.map((kind): Column => [kind.replaceAll('-', '_'), ({ resources }) => clocksOf(resources, kind)]),
  ['clock_class', ({ resources }) => numbersOf(resources, 'clock-class', 'clockClass')],
  ['ql', ({ resources }) => numbersOf(resources, 'synce-clock-quality', 'ql')],
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

/** A line for each node (RFC 4180), with its clocks spelled `<instance>=<state>`, a `?` behind what is stale. */
export function fleetCsv(views: readonly NodeView[]): string {
  const lines = [COLUMNS.map(([head]) => head), ...views.map((view) => COLUMNS.map(([, cell]) => cell(view)))]
  return lines.map((cells) => `${cells.map(quoted).join(',')}\r\n`).join('')
}

/** A spreadsheet would run what begins like a formula: an apostrophe makes it a text. A terminal gets no controls. */
function quoted(text: string): string {
  const told = text.replace(/(?![\t\r\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
  const safe = /^[=+\-@\t\r\n]/.test(told) ? `'${told}` : told
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function timeOf(view: NodeView, orBefore: boolean): string {
  const began = beganOf(view)
  return began?.orBefore === orBefore ? new Date(began.at).toISOString() : ''
}

function clocksOf(resources: NodeView['resources'], kind: string): string {
  return resources
    .filter((clock) => clock.kind === kind && clock.state !== null)
    .map(({ instance, state, stale }) => `${instance}=${state}${stale ? '?' : ''}`)
    .join(' ')
}

function numbersOf(resources: NodeView['resources'], kind: string, metric: string): string {
  return resources
    .filter((clock) => clock.kind === kind && clock.metrics[metric] !== undefined)
    .map(({ instance, metrics, stale }) => `${instance}=${metrics[metric]}${stale ? '?' : ''}`)
    .join(' ')
}

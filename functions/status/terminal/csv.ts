import { lineOf } from '#shared/state/log-csv.ts'
import type { NodeView } from '#shared/state/view.ts'
import { beganOf, isDoubted } from '#shared/state/because.ts'
import { labelTexts } from '../shown.ts'

type Clock = NodeView['resources'][number]
type Column = readonly [head: string, cell: (view: NodeView) => string | number | undefined]

const STATES = ['lock-state', 'os-clock-sync-state', 'gnss-sync-status', 'sync-state', 'synce-lock-state']

const COLUMNS: readonly Column[] = [
  ['node', ({ node }) => node],
  ['overall', ({ overall }) => overall],
  ['stale', ({ stale }) => String(stale)],
  ['suspect', ({ suspect }) => String(suspect)],
  ['blind', ({ blind }) => String(blind)],
  ['since', (view) => timeOf(view, false)],
  ['not_after', (view) => timeOf(view, true)],
  ...STATES.map(
    (kind): Column => [kind.replaceAll('-', '_'), (view) => clocksOf(view, kind, ({ state }) => state)],
  ),
  ['clock_class', (view) => clocksOf(view, 'clock-class', ({ metrics }) => metrics.clockClass)],
  ['ql', (view) => clocksOf(view, 'synce-clock-quality', ({ metrics }) => metrics.ql)],
  ['publisher', ({ publisher }) => publisher?.url],
  ['reachable', ({ publisher }) => publisher?.reachable.toString()],
  ['checked_at', ({ publisher }) => publisher?.checkedAt],
  ['missed', ({ counters }) => counters.missed],
  ['labels', (view) => labelTexts(view).join(' ')],
]

/** A header and a line for each node (RFC 4180). */
export function fleetCsv(views: readonly NodeView[]): string {
  const lines = [COLUMNS.map(([head]) => head), ...views.map((view) => COLUMNS.map(([, cell]) => cell(view)))]
  return lines.map(lineOf).join('')
}

function timeOf(view: NodeView, orBefore: boolean): string {
  const began = beganOf(view)
  return began?.orBefore === orBefore ? new Date(began.at).toISOString() : ''
}

/** `<instance>=<value>` for each clock of a kind, with a `?` if it is in doubt. */
function clocksOf(view: NodeView, kind: string, read: (clock: Clock) => string | null | undefined): string {
  return view.resources
    .filter((clock) => clock.kind === kind && read(clock) != null)
    .map((clock) => `${clock.instance}=${read(clock)}${isDoubted(view, clock) ? '?' : ''}`)
    .join(' ')
}

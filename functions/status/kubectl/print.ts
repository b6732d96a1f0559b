import { plain } from '../terminal/text.ts'
import { logLine } from '#shared/state/log-line.ts'
import { becauseOf, beganOf } from '#shared/state/because.ts'
import type { NodeView } from '#shared/state/view.ts'
import { labelTexts } from '../shown.ts'
import { shortDuration } from '../terminal/table.ts'

/** How many log entries are printed with a node, newest last. */
const ENTRIES = 20

/** A node for people: its state and why, its clocks, and its recent history. `now` in milliseconds. */
export function nodeText(view: NodeView, now: number): string {
  const began = beganOf(view)
  const age =
    began === undefined ? '' : ` for ${began.orBefore ? 'at least ' : ''}${shortDuration(now - began.at)}`
  const because = becauseOf(view)
  const labels = labelTexts(view)
  const log = (view.log ?? []).slice(-ENTRIES)
  const lines = [
    `${view.node}: ${view.overall}${age}${because && `: ${because}`}`,
    ...(labels.length > 0 ? [`Labels: ${labels.join(', ')}`] : []),
    `Publisher: ${publisherOf(view, now)}`,
    `Missed transitions: ${view.counters.missed}`,
    '',
    ...table([
      ['CLOCK', 'INSTANCE', 'STATE', 'SINCE', 'VALUES'],
      ...view.resources.map((clock) => [
        clock.kind,
        clock.instance,
        `${clock.state ?? '-'}${flagsOf(clock)}`,
        clock.since ?? `≤ ${clock.notAfter ?? '?'}`,
        Object.entries(clock.metrics)
          .map((metric) => metric.join(' '))
          .join(', '),
      ]),
    ]),
    ...(log.length > 0 ? ['', `Last ${log.length} entries of its log:`, ...log.map(logLine)] : []),
  ]
  return `${lines.map(plain).join('\n')}\n`
}

function publisherOf({ publisher }: NodeView, now: number): string {
  if (publisher === null) return 'never polled'
  const { url, dialect, reachable, checkedAt, problem, goneSince } = publisher
  const state = goneSince !== undefined ? `gone since ${goneSince}` : reachable ? 'up' : 'down'
  const polled = `polled ${shortDuration(now - Date.parse(checkedAt))} ago`
  return `${url} (${dialect}) ${state}, ${polled}${problem === undefined ? '' : `: ${problem}`}`
}

function flagsOf({ stale, suspect, contested }: NodeView['resources'][number]): string {
  const flags = [stale && 'stale', suspect !== null && 'suspect', contested && 'contested'].filter(Boolean)
  return flags.length === 0 ? '' : ` (${flags.join(', ')})`
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

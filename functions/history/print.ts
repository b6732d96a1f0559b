import { logCsv } from '#shared/state/log-csv.ts'
import { logLine } from '#shared/state/log-line.ts'
import type { Terminal } from '#shared/runtime/function.ts'
import type { LogEntry } from '#shared/state/document.ts'
import { entriesSince, entriesWithin } from '#shared/state/history.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import { type Span, type Timeline, timelineOf } from '#shared/state/timeline.ts'
import { viewOf } from '#shared/state/view.ts'
import type { Clock } from '#shared/time.ts'

export type HistoryDeps = {
  readonly store: Pick<Store, 'read' | 'log'>
  readonly clock: Clock
  readonly settings: MergeSettings
  readonly terminal: Terminal
}

/** Prints a node's log and times in state; gives the exit code. @throws StoreError */
export async function printHistory(
  { store, clock, settings, terminal }: HistoryDeps,
  node: string,
  span: Span,
  output: 'table' | 'csv' | 'json',
): Promise<number> {
  const state = await store.read(node)
  if (state === undefined) {
    terminal.err(`failed: ${node}: unknown to the store (ptp-watch status -o name lists the nodes)\n`)
    return 1
  }
  const pages = entriesWithin(store, node, state.seq, span)
  if (output === 'csv') {
    for await (const lines of logCsv(node, pages)) terminal.out(lines)
    return 0
  }
  const now = clock.now()
  const entries = await entriesSince(store, node, state.seq, span.from)
  const { lanes: _, ...numbers } = timelineOf(viewOf(state, now, settings), entries, span, now)
  if (output === 'json') {
    const log: LogEntry[] = []
    for await (const page of pages) log.push(...page)
    terminal.out(`${JSON.stringify({ ...numbers, log }, null, 2)}\n`)
    return 0
  }
  for await (const page of pages) terminal.out(page.map((entry) => `${logLine(entry)}\n`).join(''))
  terminal.out(`${summaryOf(numbers)}\n`)
  return 0
}

function summaryOf({ from, to, seconds, uncoveredSeconds, availability }: Omit<Timeline, 'lanes'>): string {
  const total = (Date.parse(to) - Date.parse(from)) / 1000
  if (availability === null) return `From ${from} to ${to}: the log does not reach into this span.`
  const states = Object.entries(seconds).flatMap(([state, time]) =>
    time > 0 ? [`${state} ${hours(time)}`] : [],
  )
  const gap = uncoveredSeconds >= 1 ? ` The log does not cover ${hours(uncoveredSeconds)} of the span.` : ''
  // Never rounded up to 100 %.
  const percent = Math.floor(availability * 100_000) / 1000
  return `From ${from} to ${to}: ${states.join(', ')}. LOCKED for ${percent} % of the ${hours(total - uncoveredSeconds)} that the log covers.${gap}`
}

/** `3h 12m 5s` */
function hours(seconds: number): string {
  const s = Math.round(seconds)
  const parts = [`${Math.floor(s / 3600)}h`, `${Math.floor((s % 3600) / 60)}m`, `${s % 60}s`]
  return parts.slice(s >= 3600 ? 0 : s >= 60 ? 1 : 2).join(' ')
}

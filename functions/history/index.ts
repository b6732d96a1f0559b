import { type Flags, type FunctionDefinition, UsageError } from '#shared/runtime/function.ts'
import type { LogEntry } from '#shared/state/document.ts'
import { entriesSince, entriesWithin, timeIn } from '#shared/state/history.ts'
import { logCsv } from '#shared/state/log-csv.ts'
import { logLine } from '#shared/state/log-line.ts'
import { openStore } from '#shared/state/store/open.ts'
import { type TimeSpan, type Timeline, createTimeline } from '#shared/state/timeline.ts'
import { viewOf } from '#shared/state/view.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export const history: FunctionDefinition = {
  name: 'history',
  summary: 'shows what happened to a node, and how long it was in which state',
  description: [
    "Prints a node's log for a span of time, oldest first, then the time in each state and how much of the span the log covers: time not covered counts towards no state. Times are UTC; `≤` marks a time known only from a poll.",
    'HISTORY_PER_NODE sets how far the log reaches back.',
    'Exit codes: 0 printed, 1 the store has no such node or could not be read, 2 configuration or usage.',
  ].join('\n'),
  operands: '<node>',
  flags: {
    from: { value: 'time', description: 'RFC 3339, or how long ago: 90m, 24h, 7d. Default 24h.' },
    to: { value: 'time', description: 'The same. Default now.' },
    csv: { description: 'The log as CSV, for a spreadsheet.' },
    json: { description: 'The log and the time in each state, as JSON.' },
  },
  examples: {
    'ptp-watch history worker-1.example.com': 'the last 24 hours',
    'ptp-watch history worker-1.example.com --from 7d --csv > week.csv': 'a week, as CSV',
    'ptp-watch history worker-1 --from 2026-11-28T02:00:00Z --to 2026-11-28T04:00:00Z':
      'two hours of a night',
  },
  environment: ['State', 'Merge'],
  required: [],
  modes: { serve: false, run: true },
  async open(config, host) {
    const store = await openStore(config, host, { create: false })
    return {
      async run(flags, { terminal: { out, err }, operands: [node = '', ...more] = [] }) {
        if (more.length > 0) throw new UsageError('ptp-watch history takes one node')
        if (flags.csv === true && flags.json === true)
          throw new UsageError('--csv and --json exclude each other')
        const now = host.clock.now()
        const span = spanOf(flags, now)
        const state = await store.read(node)
        if (state === undefined) {
          err(`failed: ${node}: unknown to the store (ptp-watch status -o name lists the nodes)\n`)
          return 1
        }
        const pages = entriesWithin(store, node, state.seq, span)
        if (flags.csv === true) {
          for await (const lines of logCsv(node, pages)) out(lines)
          return 0
        }
        const timeline = createTimeline(viewOf(state, now, config.merge), span, now)
        for await (const page of entriesSince(store, node, state.seq, span.from)) timeline.add(page)
        const { lanes: _, ...numbers } = timeline.end()
        if (flags.json === true) {
          const log: LogEntry[] = []
          for await (const page of pages) log.push(...page)
          out(`${JSON.stringify({ ...numbers, log }, null, 2)}\n`)
          return 0
        }
        for await (const page of pages) out(page.map((entry) => `${logLine(entry)}\n`).join(''))
        out(`${summaryOf(numbers)}\n`)
        return 0
      },
      close: () => store.close(),
    }
  },
}

function spanOf(flags: Flags, now: number): TimeSpan {
  const timeOf = (name: 'from' | 'to', usual: number) => {
    const text = flags[name]
    if (text === undefined) return usual
    const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(String(text)) ?? []
    const time =
      count === undefined ? timeIn(String(text)) : now - Number(count) * (UNITS[unit] ?? Number.NaN)
    if (!Number.isNaN(time)) return time
    throw new UsageError(
      `--${name} must be a time such as 2026-11-28T03:00:00Z, or how long ago, such as 24h; found ${JSON.stringify(text)}`,
    )
  }
  const to = timeOf('to', now)
  const from = timeOf('from', to - 86_400_000)
  if (from >= to) throw new UsageError('--from must be earlier than --to')
  return { from, to }
}

function summaryOf({ from, to, seconds, uncoveredSeconds, availability }: Omit<Timeline, 'lanes'>): string {
  if (availability === null) return `From ${from} to ${to}: the log does not reach into this span.`
  const covered = (Date.parse(to) - Date.parse(from)) / 1000 - uncoveredSeconds
  const spent = Object.entries(seconds).filter(([, time]) => time > 0)
  const times = spent.map(([state, time]) => `${state} ${hours(time)}`).join(', ')
  const gap = uncoveredSeconds >= 1 ? ` The log does not cover ${hours(uncoveredSeconds)} of the span.` : ''
  // Never rounded up to 100 %.
  const percent = Math.floor(availability * 100_000) / 1000
  return `From ${from} to ${to}: ${times}. LOCKED for ${percent} % of the ${hours(covered)} that the log covers.${gap}`
}

/** `3h 12m 5s` */
function hours(seconds: number): string {
  const s = Math.round(seconds)
  const parts = [`${Math.floor(s / 3600)}h`, `${Math.floor((s % 3600) / 60)}m`, `${s % 60}s`]
  return parts.slice(s >= 3600 ? 0 : s >= 60 ? 1 : 2).join(' ')
}

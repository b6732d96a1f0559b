import { type Flags, type FunctionDefinition, UsageError } from '#shared/runtime/function.ts'
import { timeIn } from '#shared/state/history.ts'
import { openStore } from '#shared/state/store/open.ts'
import type { Span } from '#shared/state/timeline.ts'
import { printHistory } from './print.ts'

const DAY_MS = 86_400_000

export const history: FunctionDefinition = {
  name: 'history',
  summary: 'shows what happened to a node, and how long it was in which state',
  description: [
    'Prints the log of a node for a span of time, oldest first, then the time in each state and how much of the span the log covers: what it does not cover is in no state. Times are UTC; `≤` marks a time that only a poll has shown.',
    'How far the log reaches back is set by HISTORY_PER_NODE.',
    'Exit codes: 0 printed, 1 the store has no such node or could not be read, 2 configuration or usage.',
  ].join('\n'),
  operands: '<node>',
  flags: {
    from: {
      type: 'string',
      value: 'time',
      description: 'RFC 3339, or how long ago: 90m, 24h, 7d. Default 24h.',
    },
    to: { type: 'string', value: 'time', description: 'The same. Default now.' },
    csv: { type: 'boolean', description: 'The log as CSV, for a spreadsheet.' },
    json: { type: 'boolean', description: 'The log, and the time in each state, as JSON.' },
  },
  examples: [
    { command: 'ptp-watch history worker-1.example.com', does: 'the last 24 hours' },
    { command: 'ptp-watch history worker-1.example.com --from 7d --csv > week.csv', does: 'a week, as CSV' },
    {
      command: 'ptp-watch history worker-1 --from 2026-11-28T02:00:00Z --to 2026-11-28T04:00:00Z',
      does: 'two hours of a night',
    },
  ],
  environment: ['State', 'Merge'],
  required: [],
  modes: { serve: false, run: true },
  async open(config, { clock, log, random }) {
    const store = await openStore(config, { log, random }, { create: false })
    return {
      run(flags, { terminal, operands = [] }) {
        const [node = '', ...more] = operands
        if (more.length > 0) throw new UsageError('ptp-watch history takes one node')
        if (flags.csv === true && flags.json === true)
          throw new UsageError('--csv and --json exclude each other')
        const output = flags.csv === true ? 'csv' : flags.json === true ? 'json' : 'table'
        const span = spanOf(flags, clock.now())
        return printHistory({ store, clock, settings: config.merge, terminal }, node, span, output)
      },
      ping: () => store.ping(),
      close: () => store.close(),
    }
  },
}

/** @throws UsageError if a time cannot be read, or the span ends before it begins. */
function spanOf(flags: Flags, now: number): Span {
  const timeOf = (name: 'from' | 'to') => {
    const text = flags[name]
    if (text === undefined) return undefined
    const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(String(text)) ?? []
    const ago = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS }[unit ?? '']
    const time = ago === undefined ? timeIn(String(text)) : now - Number(count) * ago
    if (!Number.isNaN(time)) return time
    throw new UsageError(
      `--${name} must be a time such as 2026-11-28T03:00:00Z, or how long ago, such as 24h; found ${JSON.stringify(text)}`,
    )
  }
  const to = timeOf('to') ?? now
  const from = timeOf('from') ?? to - DAY_MS
  if (from >= to) throw new UsageError('--from must be earlier than --to')
  return { from, to }
}

import { parseArgs } from 'node:util'
import { createBundles } from './bundles.ts'
import { table } from './report.ts'
import { type Result, type Row, resultOf } from './row.ts'
import { ingestRows } from './rows/ingest.ts'
import { publisherRows } from './rows/publishers.ts'
import { scrapeRows } from './rows/scrape.ts'
import { sinkRows } from './rows/sink.ts'
import { startRows } from './rows/start.ts'
import { pageRows } from './rows/page.ts'
import { statusRows } from './rows/status.ts'
import { streamRows } from './rows/stream.ts'
import { withWorld } from './world.ts'

const HELP = `npm run bench [-- [--only <name>]… [--json] [--rounds <n>] [--seconds <n>]]

Measures each row beside its yardstick in the same run, and prints their medians and their ratio.
`

const ROWS: readonly Row[] = [
  ...ingestRows,
  ...startRows,
  ...publisherRows,
  ...sinkRows,
  ...statusRows,
  ...streamRows,
  ...pageRows,
  ...scrapeRows,
]

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    help: { type: 'boolean', default: false },
  },
})
const unknown = values.only.filter((name) => ROWS.every((row) => row.name !== name))
const about = { rounds: Number(values.rounds), seconds: Number(values.seconds) }
if (values.help || unknown.length > 0 || !(about.rounds >= 1) || !(about.seconds > 0)) {
  const names = ROWS.map(({ name }) => name).join(', ')
  process.stderr.write(`${HELP}Rows: ${names}\n`)
  process.exit(values.help ? 0 : 2)
}

const rows = ROWS.filter(({ name }) => values.only.length === 0 || values.only.includes(name))
const results: Result[] = []
const stopped = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stopped.abort(new Error(`Ended by ${name}`)))
}
const bundles = await createBundles()
try {
  for (const row of rows) {
    process.stderr.write(`${row.name} … `)
    const result = resultOf(row, await withWorld({ bundles, ...about, signal: stopped.signal }, row.measure))
    process.stderr.write(`${result.ratio.toFixed(2)} (${result.bar})\n`)
    results.push(result)
  }
} finally {
  await bundles.remove()
}
const told = results.map(({ passed: _, ...result }) => result)
process.stdout.write(values.json ? `${JSON.stringify({ rows: told })}\n` : table(results))

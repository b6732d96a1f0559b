#!/usr/bin/env node
import { command } from '#shared/runtime/cli.ts'
import { createTerminal, flushed, stopSignal } from '#shared/runtime/terminal.ts'
import { catalogue } from './catalogue.ts'

// A pipe whose reader has seen enough (`ptp-watch status | head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
// Neither is a log that nobody reads any more.
process.stderr.on('error', () => {})

const [first, ...rest] = process.argv.slice(2)
const isPlugin = first === '--kubectl-plugin'
const plugin = isPlugin ? await import('./status/kubectl/index.ts') : undefined

const code = await command(plugin?.kubectl ?? catalogue, {
  argv: isPlugin ? rest : process.argv.slice(2),
  ...(plugin && { program: plugin.KUBECTL_PTP }),
  env: process.env,
  terminal: createTerminal(process, process.env),
  signal: stopSignal(process, (killed) => process.exit(killed)),
  version: async () => (await import('../package.json', { with: { type: 'json' } })).default.version,
})
await flushed(process.stdout)
// A log that nobody reads must not delay the end.
await flushed(process.stderr, 2_000)
process.exit(code)

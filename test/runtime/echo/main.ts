import { command } from '#shared/runtime/cli.ts'
import { createTerminal, flushed, stopSignal } from '#shared/runtime/terminal.ts'
import { echo } from './definition.ts'

const code = await command(
  { echo: () => Promise.resolve(echo) },
  {
    argv: process.argv.slice(2),
    env: process.env,
    terminal: createTerminal(process, process.env),
    signal: stopSignal(process, (killed) => process.exit(killed)),
    version: () => Promise.resolve('0.0.0'),
  },
)
await flushed(process.stdout)
await flushed(process.stderr)
process.exit(code)

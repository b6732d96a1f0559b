import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import { UsageError } from './arguments.ts'

/**
 * Runs `run` to its end and gives the exit code of the process. What it throws is told to people by `err`, in full
 * for a configuration and in one line for anything else. `help`: the command that explains the usage.
 */
export async function runOnce(
  run: (signal: AbortSignal) => Promise<number>,
  deps: { signal: AbortSignal; err: (text: string) => void; help?: () => string },
): Promise<number> {
  try {
    return await run(deps.signal)
  } catch (error) {
    if (deps.signal.aborted) deps.err(`ptp-watch: ${reasonOf(deps.signal.reason)}\n`)
    else deps.err(complaint(error, deps.help?.() ?? 'ptp-watch --help'))
    return exitCodeOf(error)
  }
}

/** 2 for what the one who started us must put right, 1 for all else. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof ConfigurationError || error instanceof UsageError ? 2 : 1
}

function complaint(error: unknown, help: string): string {
  if (error instanceof ConfigurationError) return `${error.message}\n`
  const hint = error instanceof UsageError ? `Try: ${help}\n` : ''
  return `ptp-watch: ${reasonOf(error)}\n${hint}`
}

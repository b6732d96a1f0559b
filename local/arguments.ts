import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>

/** The flags of a command line. Says in one line what is wrong with it, and ends the process with 2. */
export function readArguments<const O extends Options>(name: string, options: O) {
  try {
    return parseArgs({ options, allowPositionals: false }).values
  } catch (error) {
    return refuse(name, error instanceof Error ? error.message : String(error))
  }
}

/** A flag that holds a whole number. Says so in one line where it does not, and ends the process with 2. */
export function wholeNumber(name: string, flag: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  return refuse(
    name,
    `--${flag} must be a whole number from ${least} to ${most}; found ${JSON.stringify(text)}`,
  )
}

function refuse(name: string, problem: string): never {
  process.stderr.write(`${name}: ${problem.replaceAll('\n', ' ')}\n`)
  process.exit(2)
}

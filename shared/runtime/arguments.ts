import { parseArgs } from 'node:util'
import type { FlagDefinition, Flags, FunctionDefinition } from './function.ts'

/** The command line asks for something that there is not; the message says so to people. Ends with code 2. */
export class UsageError extends Error {}

/** What a command line asks for, as far as it can be told without loading a function. */
export type Request =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  /** `named` by FUNCTION_TARGET is to be served where it can be; by an argument, to be run. */
  | {
      readonly kind: 'function'
      readonly name: string
      readonly args: readonly string[]
      readonly named: 'argument' | 'target'
    }

/**
 * Reads the first argument, and FUNCTION_TARGET where there is none.
 * @throws UsageError if neither names one of `names`.
 */
export function readRequest(
  argv: readonly string[],
  target: string | undefined,
  names: readonly string[],
): Request {
  const [first, ...rest] = argv
  if (first === '--help' || first === '-h' || first === 'help') {
    const [about] = rest
    if (first !== 'help' || about === undefined || about.startsWith('-')) return { kind: 'help' }
    return { kind: 'function', name: known(about, names), args: ['--help'], named: 'argument' }
  }
  if (first === '--version') return { kind: 'version' }
  if (first !== undefined && !first.startsWith('-'))
    return { kind: 'function', name: known(first, names), args: rest, named: 'argument' }
  const name = target?.trim() ?? ''
  if (name === '') throw new UsageError(`Name a function: ${names.join(', ')}`)
  if (!names.includes(name)) {
    throw new UsageError(
      `FUNCTION_TARGET must be one of ${names.join(', ')}; found ${JSON.stringify(target)}`,
    )
  }
  return { kind: 'function', name, args: argv, named: 'target' }
}

function known(name: string, names: readonly string[]): string {
  if (names.includes(name)) return name
  throw new UsageError(`There is no function ${JSON.stringify(name)}; there are ${names.join(', ')}`)
}

const HELP: FlagDefinition = { type: 'boolean', short: 'h', description: 'Shows this and exits.' }
const SERVE: FlagDefinition = {
  type: 'boolean',
  description: 'Serves over HTTP, as FUNCTION_TARGET does, rather than running once.',
}

/** The flags of a function, those of every function included. */
export function flagsOf(definition: FunctionDefinition): Readonly<Record<string, FlagDefinition>> {
  const { serve, run } = definition.modes
  return { ...definition.flags, ...(serve && run ? { serve: SERVE } : {}), help: HELP }
}

/**
 * What was given to a function.
 * @throws UsageError if a flag is unknown, lacks its value, or has one that it does not take; or if there are operands
 * where it takes none, or none where it takes some.
 */
export function readArguments(
  definition: FunctionDefinition,
  args: readonly string[],
): { flags: Flags; operands: readonly string[] } {
  const options = Object.fromEntries(
    Object.entries(flagsOf(definition)).map(([name, { type, short }]) => [
      name,
      short === undefined ? { type } : { type, short },
    ]),
  )
  try {
    const { values, tokens, positionals } = parseArgs({
      args: [...args],
      options,
      strict: true,
      allowPositionals: definition.operands !== undefined,
      tokens: true,
    })
    // The last would win, and the others be ignored without a word.
    const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []))
    const twice = given.find((name, i) => given.indexOf(name) < i && options[name]?.type === 'string')
    if (twice !== undefined) throw new UsageError(`--${twice} may be given once`)
    const flags: Record<string, string | boolean> = {}
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === 'string' || typeof value === 'boolean') flags[name] = value
    }
    if (definition.operands !== undefined && positionals.length === 0 && flags.help !== true)
      throw new UsageError(`ptp-watch ${definition.name} needs ${definition.operands}`)
    return { flags, operands: positionals }
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
      throw new UsageError(error.message.replaceAll('\n', ' '))
    }
    throw error
  }
}

/** @throws UsageError if a flag was given that a function takes only where it is served, or only where it runs once. */
export function refuseMisplaced(
  { flags: definitions }: FunctionDefinition,
  flags: Flags,
  serves: boolean,
): void {
  for (const [name, { servedOnly = false }] of Object.entries(definitions)) {
    if (flags[name] === undefined || servedOnly === serves) continue
    throw new UsageError(serves ? `--${name} does not go with --serve` : `--${name} needs --serve`)
  }
}

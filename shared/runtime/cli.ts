import { parseArgs } from 'node:util'
import type { Environment } from '#shared/config/index.ts'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import { type Flags, type FunctionDefinition, type Terminal, UsageError } from './function.ts'
import { flagsOf, functionHelp, overallHelp, PTP_WATCH, type Program } from './help.ts'
import { closed, openFunction, serveUntil } from './host.ts'

/** Functions by name, each loaded when it is picked: one that serves does not pay for the others. */
export type Catalogue = Readonly<Record<string, () => Promise<FunctionDefinition>>>

/**
 * Does what a command line asks for, and gives the exit code: 0 done, 1 failed, 2 for a configuration or a command line
 * that cannot be used. All that it needs of the process is handed in.
 */
export async function command(
  catalogue: Catalogue,
  deps: {
    argv: readonly string[]
    env: Environment
    terminal: Terminal
    signal: AbortSignal
    version: () => Promise<string>
    /** What it calls itself. */
    program?: Program
  },
): Promise<number> {
  const { argv, env, terminal, signal, program = PTP_WATCH } = deps
  let help = `${program.name} --help`

  const run = async () => {
    const [first = ''] = argv
    if (first === '--version') {
      terminal.out(`${await deps.version()}\n`)
      return 0
    }
    const picked = pick(argv, env.FUNCTION_TARGET, { ...program, names: Object.keys(catalogue) })
    if (picked === undefined) {
      terminal.out(overallHelp(await Promise.all(Object.values(catalogue).map((each) => each())), program))
      return 0
    }
    const definition = await load(catalogue, picked.name)
    help = `${program.name} ${definition.name} --help`
    const { flags, operands } = readArguments(definition, picked.args, program)
    if (flags.help === true) {
      terminal.out(functionHelp(definition, program))
      return 0
    }
    const { modes } = definition
    const serves = modes.serve && (!modes.run || flags.serve === true || picked.isTarget)
    checkMisplaced(definition, flags, serves)
    const opened = await openFunction(definition, env, flags)
    if (serves) return serveUntil(opened, signal)
    const { open, host } = opened
    if (open.run === undefined) throw new TypeError(`${definition.name} cannot be run`)
    let code = 1
    try {
      code = await open.run(flags, { signal, terminal, operands })
    } finally {
      if (!(await closed(open, host))) code = 1
    }
    return code
  }

  try {
    return await run()
  } catch (error) {
    const isUsage = error instanceof UsageError
    if (signal.aborted) terminal.err(`${program.name}: ${reasonOf(signal.reason)}\n`)
    else if (error instanceof ConfigurationError) terminal.err(`${error.message}\n`)
    else terminal.err(`${program.name}: ${reasonOf(error)}\n${isUsage ? `Try: ${help}\n` : ''}`)
    return isUsage || error instanceof ConfigurationError ? 2 : 1
  }
}

/** The definition of a function that is in the catalogue. */
function load(catalogue: Catalogue, name: string): Promise<FunctionDefinition> {
  const loader = catalogue[name]
  if (loader === undefined) throw new TypeError(`Unknown function ${name}`)
  return loader()
}

/**
 * The function that a command line, or else FUNCTION_TARGET (`isTarget`), names; undefined where the overall help is
 * asked for.
 * @throws UsageError if neither names one of `names`.
 */
function pick(argv: readonly string[], target: string | undefined, choice: Choice) {
  const { names, picks } = choice
  const [first = '', ...args] = argv
  const [topic = '-'] = args
  if (first === '--help' || first === '-h' || (first === 'help' && topic.startsWith('-'))) return undefined
  if (first === 'help') return { name: known(topic, choice), args: ['--help'], isTarget: false }
  if (first !== '' && !first.startsWith('-')) return { name: known(first, choice), args, isTarget: false }
  const name = picks === 'function' ? (target?.trim() ?? '') : ''
  if (name === '') throw new UsageError(`Name a ${picks}: ${names.join(', ')}`)
  if (!names.includes(name)) {
    throw new UsageError(
      `FUNCTION_TARGET must be one of ${names.join(', ')}; found ${JSON.stringify(target)}`,
    )
  }
  return { name, args: argv, isTarget: true }
}

type Choice = Pick<Program, 'picks'> & { readonly names: readonly string[] }

function known(name: string, { names, picks }: Choice): string {
  if (names.includes(name)) return name
  throw new UsageError(`Unknown ${picks} ${JSON.stringify(name)}; expected one of ${names.join(', ')}`)
}

/**
 * The flags and operands that a function was given.
 * @throws UsageError for an unknown or repeated flag, a missing or unwanted value, missing or unwanted operands.
 */
function readArguments(
  definition: FunctionDefinition,
  args: readonly string[],
  program: Program,
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
      allowPositionals: definition.operands !== undefined,
      tokens: true,
    })
    // parseArgs would silently use the last one.
    const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []))
    const twice = given.find((name, i) => given.indexOf(name) < i && options[name]?.type === 'string')
    if (twice !== undefined) throw new UsageError(`--${twice} may be given once`)
    const flags: Record<string, string | boolean> = {}
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === 'string' || typeof value === 'boolean') flags[name] = value
    }
    if (definition.operands !== undefined && positionals.length === 0 && flags.help !== true) {
      throw new UsageError(`${program.name} ${definition.name} needs ${definition.operands}`)
    }
    return { flags, operands: positionals }
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
      throw new UsageError(error.message.replaceAll('\n', ' '))
    }
    throw error
  }
}

/** @throws UsageError if a flag was given that works only while serving, or only in a single run. */
function checkMisplaced({ flags: definitions }: FunctionDefinition, flags: Flags, serves: boolean): void {
  for (const [name, { servedOnly = false }] of Object.entries(definitions)) {
    if (flags[name] === undefined || servedOnly === serves) continue
    throw new UsageError(serves ? `--${name} cannot be combined with --serve` : `--${name} needs --serve`)
  }
}

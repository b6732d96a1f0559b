import { parseArgs, type ParseArgsConfig } from 'node:util'
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
    if (argv[0] === '--version') {
      terminal.out(`${await deps.version()}\n`)
      return 0
    }
    const names = Object.keys(catalogue)
    const picked = pick(argv, env.FUNCTION_TARGET, { ...program, names })
    const load = catalogue[picked?.name ?? '']
    if (picked === undefined || load === undefined) {
      terminal.out(overallHelp(await Promise.all(Object.values(catalogue).map((each) => each())), program))
      return 0
    }
    const definition = await load()
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

/**
 * The function that a command line, or else FUNCTION_TARGET (`isTarget`), names; undefined where the overall help is
 * asked for.
 * @throws UsageError if neither names one of `names`.
 */
function pick(
  argv: readonly string[],
  target: string | undefined,
  { names, picks }: Pick<Program, 'picks'> & { names: readonly string[] },
) {
  const [first = '', ...args] = argv
  const [topic = '-'] = args
  const checked = (name: string, problem: string) => {
    if (names.includes(name)) return name
    throw new UsageError(problem)
  }
  const known = (name: string) =>
    checked(name, `Unknown ${picks} ${JSON.stringify(name)}; expected one of ${names.join(', ')}`)
  if (first === '--help' || first === '-h' || (first === 'help' && topic.startsWith('-'))) return undefined
  if (first === 'help') return { name: known(topic), args: ['--help'], isTarget: false }
  if (first !== '' && !first.startsWith('-')) return { name: known(first), args, isTarget: false }
  const targeted = picks === 'function' ? (target?.trim() ?? '') : ''
  const problem =
    targeted === ''
      ? `Name a ${picks}: ${names.join(', ')}`
      : `FUNCTION_TARGET must be one of ${names.join(', ')}; found ${JSON.stringify(target)}`
  return { name: checked(targeted, problem), args: argv, isTarget: true }
}

/**
 * The flags and operands that a function was given.
 * @throws UsageError for an unknown or repeated flag, a missing or unwanted value, missing or unwanted operands.
 */
function readArguments(definition: FunctionDefinition, args: readonly string[], program: Program) {
  const options = Object.fromEntries(
    Object.entries(flagsOf(definition)).map(([name, { type, short }]) => [
      name,
      // With `multiple`, a flag that is given twice is noticed; parseArgs would use the last one.
      { type, multiple: true, ...(short !== undefined && { short }) },
    ]),
  )
  const { values, positionals: operands } = parsed({
    args: [...args],
    options,
    allowPositionals: definition.operands !== undefined,
  })
  const flags: Record<string, string | boolean | undefined> = {}
  for (const [name, given] of Object.entries(values)) {
    const [value, ...more] = [given].flat()
    if (more.length > 0 && typeof value === 'string') throw new UsageError(`--${name} may be given once`)
    flags[name] = value
  }
  if (definition.operands !== undefined && operands.length === 0 && flags.help !== true) {
    throw new UsageError(`${program.name} ${definition.name} needs ${definition.operands}`)
  }
  return { flags, operands }
}

function parsed(config: ParseArgsConfig) {
  try {
    return parseArgs(config)
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

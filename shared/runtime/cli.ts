import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { Environment } from '#shared/config/index.ts'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import { type FunctionDefinition, UsageError } from './function.ts'
import { flagsOf, functionHelp, overallHelp, PTP_WATCH, type Program } from './help.ts'
import { closed, openFunction, serveUntil } from './host.ts'
import type { Terminal } from './terminal.ts'

/** Functions by name, each loaded only when it is picked, so that serving one does not pay for the others. */
export type Catalogue = Readonly<Record<string, () => Promise<FunctionDefinition>>>

type CommandDeps = {
  readonly argv: readonly string[]
  readonly env: Environment
  readonly terminal: Terminal
  readonly signal: AbortSignal
  readonly version: () => Promise<string>
  readonly program?: Program
}

/** Runs a command line and returns the exit code: 0 done, 1 failed, 2 invalid configuration or usage. */
export async function command(catalogue: Catalogue, deps: CommandDeps): Promise<number> {
  const { argv, env, terminal, signal, program = PTP_WATCH } = deps
  let help = `${program.name} --help`
  const shown = (text: string) => {
    terminal.out(text)
    return 0
  }
  const run = async () => {
    if (argv[0] === '--version') return shown(`${await deps.version()}\n`)
    const picked = pick(catalogue, argv, env, program)
    if (picked === undefined)
      return shown(overallHelp(await Promise.all(Object.values(catalogue).map((load) => load())), program))
    const definition = await picked.load()
    const { name, modes } = definition
    help = `${program.name} ${name} --help`
    const { flags, operands } = readArguments(definition, picked.args)
    if (flags.help === true) return shown(functionHelp(definition, program))
    if (definition.operands !== undefined && (operands.length === 0 || !operands.every(Boolean)))
      throw new UsageError(`${program.name} ${name} needs ${definition.operands}`)
    const serves = modes.serve && (!modes.run || flags.serve === true || picked.isTarget)
    for (const [flag, { servedOnly = false }] of Object.entries(definition.flags)) {
      if (flags[flag] === undefined || servedOnly === serves) continue
      throw new UsageError(serves ? `--${flag} cannot be combined with --serve` : `--${flag} needs --serve`)
    }
    const opened = await openFunction(definition, env, flags)
    if (serves) return serveUntil(opened, signal)
    const { open, host } = opened
    let code = 1
    try {
      if (open.run === undefined) throw new TypeError(`${name} cannot be run`)
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
 * The function named by the command line, or else by FUNCTION_TARGET (`isTarget`); undefined for the overall help.
 */
function pick(catalogue: Catalogue, argv: readonly string[], env: Environment, { picks }: Program) {
  const [first = '', topic = '-'] = argv
  if (first === '--help' || first === '-h' || (first === 'help' && topic.startsWith('-'))) return undefined
  const isTarget = first === '' || first.startsWith('-')
  const target = picks === 'function' ? (env.FUNCTION_TARGET ?? '') : ''
  const named = first === 'help' ? topic : first
  const name = isTarget ? target.trim() : named
  const load = Object.hasOwn(catalogue, name) ? catalogue[name] : undefined
  const rest = isTarget ? argv : argv.slice(1)
  if (load !== undefined) return { load, isTarget, args: first === 'help' ? ['--help'] : rest }
  const names = Object.keys(catalogue).join(', ')
  if (!isTarget) throw new UsageError(`Unknown ${picks} ${JSON.stringify(name)}; expected one of ${names}`)
  if (name === '') throw new UsageError(`Name a ${picks}: ${names}`)
  throw new UsageError(`FUNCTION_TARGET must be one of ${names}; found ${JSON.stringify(target)}`)
}

/**
 * @throws UsageError for an unknown or repeated flag, a missing, empty or unexpected value, or unexpected operands.
 */
function readArguments(definition: FunctionDefinition, args: readonly string[]) {
  const options: ParseArgsConfig['options'] = {}
  // `multiple` lets us reject a flag given twice; otherwise parseArgs would silently use the last one.
  for (const [name, { value, short }] of Object.entries(flagsOf(definition)))
    options[name] = {
      type: value === undefined ? 'boolean' : 'string',
      multiple: true,
      ...(short && { short }),
    }
  const flags: Record<string, string | boolean | undefined> = {}
  try {
    const config = { args: [...args], options, allowPositionals: definition.operands !== undefined }
    const { values, positionals: operands } = parseArgs(config)
    for (const [name, given] of Object.entries(values)) {
      const [value, ...more] = [given].flat()
      if (more.length > 0 && typeof value === 'string') throw new UsageError(`--${name} may be given once`)
      if (value === '') throw new UsageError(`--${name} is empty`)
      flags[name] = value
    }
    return { flags, operands }
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
      throw new UsageError(error.message.replaceAll('\n', ' '))
    throw error
  }
}

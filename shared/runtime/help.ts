import { type Group, VARIABLES, type Variable } from '#shared/config/index.ts'
import type { FlagDefinition, FunctionDefinition } from './function.ts'

const WIDTH = 100

const HELP: FlagDefinition = { type: 'boolean', short: 'h', description: 'Shows this help and exits.' }
const SERVE: FlagDefinition = {
  type: 'boolean',
  description: 'Serves over HTTP, as with FUNCTION_TARGET, instead of running once.',
}

/** The flags of a function, those that every function has included. */
export function flagsOf(definition: FunctionDefinition): Readonly<Record<string, FlagDefinition>> {
  const { serve, run } = definition.modes
  return { ...definition.flags, ...(serve && run ? { serve: SERVE } : {}), help: HELP }
}

/** What a command line calls itself, and what it says of itself. */
export type Program = {
  readonly name: string
  readonly about: string
  /** What one picks: its first argument. */
  readonly picks: 'function' | 'command'
  /** Further lines of its usage, and of its help. */
  readonly usage: readonly string[]
  readonly notes: readonly string[]
}

export const PTP_WATCH: Program = {
  name: 'ptp-watch',
  about: 'ptp-watch watches the clocks of an O-RAN site.',
  picks: 'function',
  usage: ['FUNCTION_TARGET=<function> ptp-watch'],
  notes: [
    'A function is configured by environment variables alone: see `ptp-watch <function> --help`.',
    'Named as an argument it runs once, if it is one that runs; by FUNCTION_TARGET, or with --serve,',
    'it is served over HTTP.',
    '',
  ],
}

/** `ptp-watch --help`. */
export function overallHelp(definitions: readonly FunctionDefinition[], program: Program): string {
  const { name: own, about, picks, usage, notes } = program
  return [
    about,
    '',
    'Usage:',
    ...[`${own} <${picks}> [flags]`, ...usage].map((line) => `  ${line}`),
    '',
    `${picks === 'function' ? 'Functions' : 'Commands'}:`,
    ...columns(definitions.map(({ name, summary }) => [name, summary])),
    '',
    'Flags:',
    ...columns([
      [
        '-h, --help',
        `Shows this; after a ${picks}, or as \`${own} help <${picks}>\`, what that ${picks} does.`,
      ],
      ['--version', 'Shows the version.'],
    ]),
    '',
    ...notes,
    'Exit codes: 0 done, 1 some part failed, 2 the configuration or the command line cannot be used.',
    '',
  ].join('\n')
}

/** `ptp-watch <function> --help`. */
export function functionHelp(definition: FunctionDefinition, { name: own }: Program = PTP_WATCH): string {
  const flags = Object.entries(flagsOf(definition)).map(([name, flag]) => {
    const short = flag.short === undefined ? '' : `-${flag.short}, `
    const value = flag.type === 'string' ? ` <${flag.value ?? 'value'}>` : ''
    return [`${short}--${name}${value}`, flag.description] as const
  })
  const examples = definition.examples.flatMap(({ command, does }) => [`  # ${does}`, `  ${command}`])
  return [
    `${own} ${definition.name}: ${definition.summary}`,
    '',
    ...definition.description.split('\n').flatMap((line) => wrapped(line, WIDTH)),
    '',
    'Usage:',
    `  ${own} ${definition.name}${definition.operands === undefined ? '' : ` ${definition.operands}`} [flags]`,
    '',
    'Flags:',
    ...columns(flags),
    '',
    'Environment:',
    ...columns(variablesOf(definition).map((variable) => [variable.name, remark(definition, variable)])),
    ...(examples.length === 0 ? [] : ['', 'Examples:', ...examples]),
    '',
  ].join('\n')
}

function variablesOf({ environment, modes }: FunctionDefinition): Variable[] {
  const groups: readonly Group[] = [...environment, ...(modes.serve ? (['Server'] as const) : []), 'Output']
  return VARIABLES.filter(({ group }) => groups.includes(group))
}

function remark(definition: FunctionDefinition, variable: Variable): string {
  const text = variable.description.replaceAll('`', '')
  if (definition.required.includes(variable.name)) return `${text} Required.`
  return variable.default === undefined ? text : `${text} Default: ${variable.default.replaceAll(',', ', ')}`
}

/** Two columns, the second one wrapped; a wide first one stands on a line of its own. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.min(24, Math.max(...rows.map(([term]) => term.length))) + 2
  return rows.flatMap(([term, text]) => {
    const [first = '', ...rest] = wrapped(text, WIDTH - left - 2)
    const indent = ' '.repeat(left + 2)
    const head = term.length + 2 > left ? [`  ${term}`, indent + first] : [`  ${term.padEnd(left)}${first}`]
    return [...head, ...rest.map((line) => indent + line)]
  })
}

/** Lines of at most `width` characters; a longer word stands alone. */
function wrapped(text: string, width: number): string[] {
  return text.match(new RegExp(`\\S.{0,${width - 1}}(?=\\s|$)|\\S+`, 'g')) ?? ['']
}

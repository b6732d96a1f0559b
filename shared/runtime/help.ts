import { type Group, VARIABLES } from '#shared/config/index.ts'
import type { FlagDefinition, FunctionDefinition } from './function.ts'

const WIDTH = 100

const HELP: FlagDefinition = { short: 'h', description: 'Shows this help and exits.' }
const SERVE: FlagDefinition = {
  description: 'Serves over HTTP, as with FUNCTION_TARGET, instead of running once.',
}

/** The flags of a function, including those that every function has. */
export function flagsOf({ flags, modes }: FunctionDefinition): Readonly<Record<string, FlagDefinition>> {
  return { ...flags, ...(modes.serve && modes.run && { serve: SERVE }), help: HELP }
}

/** How a program describes itself. `picks`: what its first argument names. */
export type Program = {
  readonly name: string
  readonly about: string
  readonly picks: 'function' | 'command'
  readonly notes: string
}

export const PTP_WATCH: Program = {
  name: 'ptp-watch',
  about: 'ptp-watch watches the clocks of an O-RAN site.',
  picks: 'function',
  notes: `Functions are configured by environment variables only: see \`ptp-watch <function> --help\`.
Given as an argument, a function runs once, if it can; with FUNCTION_TARGET or --serve it is
served over HTTP.`,
}

export function overallHelp(definitions: readonly FunctionDefinition[], program: Program): string {
  const { name: own, about, picks, notes } = program
  const isOurs = picks === 'function'
  return `${about}

Usage:
  ${own} <${picks}> [flags]${isOurs ? `\n  FUNCTION_TARGET=<function> ${own}` : ''}

${isOurs ? 'Functions' : 'Commands'}:
${columns(definitions.map(({ name, summary }) => [name, summary]))}

Flags:
${columns([
  ['-h, --help', `Shows this; after a ${picks}, or as \`${own} help <${picks}>\`, what that ${picks} does.`],
  ['--version', 'Shows the version.'],
])}

${notes}

Exit codes: 0 done, 1 some part failed, 2 invalid configuration or command line.
`
}

export function functionHelp(definition: FunctionDefinition, { name: own }: Program = PTP_WATCH): string {
  const { name, summary, description, operands, environment, modes, required } = definition
  const flags = Object.entries(flagsOf(definition)).map(([flag, { short, value, description }]) => {
    const head = `${short === undefined ? '' : `-${short}, `}--${flag}`
    return [value === undefined ? head : `${head} <${value}>`, description] as const
  })
  const groups: readonly Group[] = [...environment, ...(modes.serve ? (['Server'] as const) : []), 'Output']
  const variables = VARIABLES.filter(({ group }) => groups.includes(group)).map((variable) => {
    const standard =
      variable.default === undefined ? '' : ` Default: ${variable.default.replaceAll(',', ', ')}`
    const remark = required.includes(variable.name) ? ' Required.' : standard
    return [variable.name, `${variable.description.replaceAll('`', '')}${remark}`] as const
  })
  const examples = Object.entries(definition.examples).map(([command, does]) => `  # ${does}\n  ${command}\n`)
  return `${own} ${name}: ${summary}

${wrapped(description, WIDTH)}

Usage:
  ${own} ${name}${operands === undefined ? '' : ` ${operands}`} [flags]

Flags:
${columns(flags)}

Environment:
${columns(variables)}
${examples.length === 0 ? '' : `\nExamples:\n${examples.join('')}`}`
}

/** Two columns, the second one wrapped; a wide term gets a line of its own. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.min(24, Math.max(...rows.map(([term]) => term.length))) + 2
  const lines = rows.map(([term, text]) => {
    const indent = `\n${' '.repeat(left + 2)}`
    const head = term.length + 2 > left ? `  ${term}${indent}` : `  ${term.padEnd(left)}`
    return head + wrapped(text, WIDTH - left - 2, indent)
  })
  return lines.join('\n')
}

/** Lines of at most `width` characters; a longer word gets a line of its own. */
function wrapped(text: string, width: number, newline = '\n'): string | undefined {
  return text.match(new RegExp(`\\S.{0,${width - 1}}(?=\\s|$)|\\S+`, 'g'))?.join(newline)
}

import type { Environment } from '#shared/config/index.ts'
import { readArguments, readRequest, refuseMisplaced } from './arguments.ts'
import type { FunctionDefinition, Terminal } from './function.ts'
import { functionHelp, overallHelp } from './help.ts'
import { closed, openFunction, serveUntil } from './host.ts'
import { runOnce } from './run-once.ts'

/** Functions by name, each loaded when it is picked: one that serves does not pay for the others. */
export type Catalogue = Readonly<Record<string, () => Promise<FunctionDefinition>>>

/** Does what a command line asks for, and gives the exit code. All that it needs of the process is handed in. */
export function command(
  catalogue: Catalogue,
  deps: {
    argv: readonly string[]
    env: Environment
    terminal: Terminal
    signal: AbortSignal
    version: () => Promise<string>
  },
): Promise<number> {
  const { argv, env, terminal, signal } = deps
  let help = 'ptp-watch --help'
  return runOnce(
    async () => {
      const request = readRequest(argv, env.FUNCTION_TARGET, Object.keys(catalogue))
      if (request.kind === 'version') {
        terminal.out(`${await deps.version()}\n`)
        return 0
      }
      if (request.kind === 'help') {
        terminal.out(overallHelp(await Promise.all(Object.values(catalogue).map((each) => each()))))
        return 0
      }
      const definition = await load(catalogue, request.name)
      help = `ptp-watch ${definition.name} --help`
      const { flags, operands } = readArguments(definition, request.args)
      if (flags.help === true) {
        terminal.out(functionHelp(definition))
        return 0
      }
      const { modes } = definition
      const serves = modes.serve && (!modes.run || flags.serve === true || request.named === 'target')
      refuseMisplaced(definition, flags, serves)
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
    },
    { signal, err: terminal.err, help: () => help },
  )
}

/** The definition of a function that is in the catalogue. */
export function load(catalogue: Catalogue, name: string): Promise<FunctionDefinition> {
  const loader = catalogue[name]
  if (loader === undefined) throw new TypeError(`There is no function ${name}`)
  return loader()
}

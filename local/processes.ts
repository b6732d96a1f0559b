import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const FUNCTIONS = fileURLToPath(new URL('../functions/main.ts', import.meta.url))

/** One JSON line of a function's log. */
export type LogLine = Readonly<Record<string, unknown>>

/** A function of ours that runs as a process of its own and serves. */
export type Served = {
  readonly name: string
  readonly url: string
  /** SIGTERM; resolves when the process has ended, after its drain. */
  stop(): Promise<void>
  /** Resolves with the exit code if the process ends by itself. */
  readonly ended: Promise<number | null>
}

/** Starts our functions as child processes, each with its log in a file of `folder`. */
export function createProcesses(options: {
  folder: string
  env: Readonly<Record<string, string>>
  onLine: (name: string, line: LogLine) => void
}) {
  const { folder, env, onLine } = options
  const children = new Set<ChildProcess>()
  mkdirSync(folder, { recursive: true })
  // Ctrl-C goes to a whole group of processes: ours are to be stopped in order, so each gets a group of its own.
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL')
  })

  const start = (args: readonly string[], own: Readonly<Record<string, string>>) => {
    const child = spawn(process.execPath, [FUNCTIONS, ...args], {
      env: { ...process.env, ...env, ...own },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    void ended.then(() => children.delete(child))
    return { child, ended }
  }

  return {
    /** Starts a function that serves on a free port, and waits until it does. */
    async serve(
      name: string,
      args: readonly string[],
      own: Readonly<Record<string, string>> = {},
    ): Promise<Served> {
      const { child, ended } = start([name, ...args], { HOST: '127.0.0.1', PORT: '0', ...own })
      const file = createWriteStream(join(folder, `${name}.log`))
      const listening = Promise.withResolvers<string>()
      let last = ''
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (text) => {
          file.write(`${text}\n`)
          last = text
          const line = parsed(text)
          if (line === undefined) return
          if (line.message === 'listening' && typeof line.url === 'string') listening.resolve(line.url)
          onLine(name, line)
        })
      }
      void ended.then((code) => {
        file.end()
        listening.reject(new Error(`${name} ended with code ${code} before it listened: ${last}`))
      })
      const url = await listening.promise
      return {
        name,
        url,
        ended,
        async stop() {
          child.kill('SIGTERM')
          await ended
        },
      }
    },

    /** Runs a function once, its output going where ours goes; gives its exit code. */
    async run(
      name: string,
      args: readonly string[],
      own: Readonly<Record<string, string>>,
    ): Promise<number | null> {
      const { child, ended } = start([name, ...args], own)
      child.stdout.pipe(process.stdout, { end: false })
      child.stderr.pipe(process.stderr, { end: false })
      return ended
    },
  }
}

function parsed(text: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

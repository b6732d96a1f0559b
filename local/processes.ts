import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const FUNCTIONS = fileURLToPath(new URL('../functions/main.ts', import.meta.url))
const ENDS_WITH_PARENT = new URL('./ends-with-parent.ts', import.meta.url).href
/** All that children get of our environment: settings of a real system (STATE_URL, K_SINK …) are none of theirs. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'NODE_COMPILE_CACHE']
/** How long a process may drain. */
const DRAIN_MS = 5_000

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

/**
 * Starts our functions as child processes, each with its log in a file of `folder`. None outlives this process, nor
 * the disposal of what is returned.
 */
export function createProcesses(options: {
  folder: string
  env: Readonly<Record<string, string>>
  onLine: (name: string, line: LogLine) => void
}) {
  const { folder, env, onLine } = options
  const children = new Map<ChildProcess, Promise<number | null>>()
  let isOver = false
  mkdirSync(folder, { recursive: true })
  // Ctrl-C goes to a whole group of processes: ours are to be stopped in order, so each gets a group of its own.
  process.once('exit', () => {
    for (const child of children.keys()) child.kill('SIGKILL')
  })

  const start = (args: readonly string[], own: Readonly<Record<string, string>>) => {
    if (isOver) throw new Error('Stopped')
    const child = spawn(process.execPath, ['--import', ENDS_WITH_PARENT, FUNCTIONS, ...args], {
      env: { ...inherited(), ...env, ...own },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    children.set(child, ended)
    void ended.then(() => children.delete(child))
    return { child, ended, outputs: [child.stdout, child.stderr].filter((stream) => stream !== null) }
  }

  const end = async (child: ChildProcess) => {
    const killing = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS)
    child.kill('SIGTERM')
    await children.get(child)
    clearTimeout(killing)
  }

  return {
    /** Starts a function that serves on a free port, and waits until it does. */
    async serve(
      name: string,
      args: readonly string[],
      own: Readonly<Record<string, string>> = {},
    ): Promise<Served> {
      const { child, ended, outputs } = start([name, ...args], { HOST: '127.0.0.1', PORT: '0', ...own })
      const file = createWriteStream(join(folder, `${name}.log`))
      const listening = Promise.withResolvers<string>()
      let last = ''
      for (const input of outputs) {
        createInterface({ input }).on('line', (text) => {
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
      return { name, url, ended, stop: () => end(child) }
    },

    /** Runs a function once, its output going where ours goes; gives its exit code. */
    async run(
      name: string,
      args: readonly string[],
      own: Readonly<Record<string, string>>,
    ): Promise<number | null> {
      const { child, ended } = start([name, ...args], own)
      // What it says of being stopped is of no use.
      child.stdout?.on('data', (text) => isOver || process.stdout.write(text))
      child.stderr?.on('data', (text) => isOver || process.stderr.write(text))
      return ended
    },

    async [Symbol.asyncDispose]() {
      isOver = true
      await Promise.all([...children.keys()].map(end))
    },
  }
}

function inherited(): Record<string, string> {
  return Object.fromEntries(
    INHERITED.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
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

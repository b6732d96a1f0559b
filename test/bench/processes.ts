import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as open } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type * as z from 'zod/mini'
import { freePort } from '../support/free-port.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Linux counts the processor time of processes in these (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100

export type Env = Readonly<Record<string, string>>

export type Server = {
  readonly url: string
  /** Processor time that it has used so far, in seconds. */
  cpuSeconds(): number
  /** The memory it holds, in MiB. */
  residentMiB(): number
  stop(): Promise<void>
}

/** Another process that does work when asked. */
export type Worker = {
  readonly cpuSeconds: () => number
  ask<T>(answer: z.ZodMiniType<T>, job: object): Promise<T>
  stop(): Promise<void>
}

/** Starts a server on a free port of 127.0.0.1, which it is told as PORT, and waits until it accepts connections. */
export async function startServer(args: readonly string[], env: Env = {}): Promise<Server> {
  const port = await freePort()
  const child = launch(args, { ...env, HOST: '127.0.0.1', PORT: String(port) })
  await accepting(port, child)
  return serverOf(child, port)
}

/** The same without waiting; `accepting` waits. */
export function launch(
  args: readonly string[],
  env: Env,
  stderr: 'pipe' | 'inherit' = 'inherit',
): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', stderr],
  })
}

export function serverOf(child: ChildProcess, port: number): Server {
  return {
    url: `http://127.0.0.1:${port}`,
    cpuSeconds: () => cpuSecondsOf(child.pid),
    residentMiB: () => residentMiBOf(child.pid),
    stop: () => stop(child),
  }
}

/** Resolves when something listens on the port; looks every millisecond. */
export async function accepting(port: number, child: ChildProcess): Promise<void> {
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`A server ended with ${child.exitCode}`)
    await pause(1)
  }
}

/** Starts one of `children/` that answers jobs (`answering.ts`). */
export async function startWorker(file: string): Promise<Worker> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`children/${file}`, import.meta.url))], {
    cwd: ROOT,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${file} ended with ${code}`)
  })
  ended.catch(() => {})
  await Promise.race([once(child, 'message'), ended])
  return {
    cpuSeconds: () => cpuSecondsOf(child.pid),
    async ask(answer, job) {
      const answered = once(child, 'message')
      child.send(job)
      const [message] = await Promise.race([answered, ended])
      return answer.parse(message)
    },
    stop: () => stop(child),
  }
}

/** Runs a command to its end. @throws Error if it fails. */
export async function runToEnd(args: readonly string[], env: Env): Promise<void> {
  const child = launch(args, env, 'pipe')
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code} and had written:\n${said}`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = open(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function cpuSecondsOf(pid: number | undefined): number {
  // The second field is the name in brackets, which may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  const [user = Number.NaN, system = Number.NaN] = fields.slice(11, 13).map(Number)
  return (user + system) / TICKS_PER_SECOND
}

function residentMiBOf(pid: number | undefined): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) / 1024
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { freePort } from '../support/free-port.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FRAMEWORK = 'node_modules/@google-cloud/functions-framework/build/src/main.js'

/** `ptp-watch` as the image has it, built before all tests. */
export const MAIN = 'dist/main.mjs'

export type Env = Readonly<Record<string, string>>

/** A process of the test, with all that it has written. */
export type Running = {
  readonly pid: number
  readonly out: () => string
  readonly err: () => string
  /** Resolves when standard error matches; rejects when the process ends before. */
  until(pattern: RegExp): Promise<string>
  kill(signal?: NodeJS.Signals): void
  readonly exit: Promise<number | null>
}

/** Where the processes of all suites share their compiled code: it halves what a start costs. */
export const COMPILE_CACHE: Env = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/processes') }

/** Runs a file of the project with Node, in an environment of `env` alone. */
export function start(args: readonly string[], env: Env = {}): Running {
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
    child.emit('written')
  })
  const exit = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null))
  return {
    pid: child.pid ?? Number.NaN,
    out: () => out,
    err: () => err,
    exit,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!pattern.test(err)) return
          child.off('written', look)
          resolve(err)
        }
        child.on('written', look)
        void exit.then((code) => reject(new Error(`It ended with ${code} and had written:\n${err}`)))
        look()
      }),
  }
}

/** A function that is served by a process of its own. */
export type HostedFunction = { readonly url: string; readonly running: Running; stop(): Promise<void> }

/** Serves a function as the image does: `entry` is {@link MAIN} or a test's own. */
export async function onServe(entry: string, target: string, env: Env = {}): Promise<HostedFunction> {
  const running = start([entry], { HOST: '127.0.0.1', PORT: '0', FUNCTION_TARGET: target, ...env })
  const [, url = ''] = /"url":"([^"]+)"/.exec(await running.until(/"message":"listening"/)) ?? []
  return { url, running, stop: () => stop(running) }
}

/**
 * Serves a function with the Functions Framework's own command; `source` is the file that registers it. `ready`: the
 * statuses of readiness by which it serves.
 */
export async function onFramework(
  source: string,
  target: string,
  env: Env = {},
  ready: readonly number[] = [200],
): Promise<HostedFunction> {
  const port = await freePort()
  const running = start([FRAMEWORK, `--source=${source}`, `--target=${target}`, `--port=${port}`], env)
  const url = `http://127.0.0.1:${port}`
  let ended = false
  void running.exit.then(() => {
    ended = true
  })
  while (!(await isReady(url, ready))) {
    if (ended) throw new Error(`The framework ended and had written:\n${running.out()}\n${running.err()}`)
    await pause(20)
  }
  return { url, running, stop: () => stop(running) }
}

async function stop(running: Running): Promise<void> {
  running.kill('SIGTERM')
  await running.exit
}

async function isReady(url: string, ready: readonly number[]): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${url}/health/readiness`)
    await body.dump()
    return ready.includes(statusCode)
  } catch {
    return false
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { start } from '../runtime/processes.ts'
import { COMPILE_CACHE, eventually } from './support/system.ts'
import { page } from './support/view.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const START = ['local/main.ts', '--pace-ms', '200', '--poll-seconds', '1']
const SCRIPT = '/usr/bin/script'

type Started = {
  readonly child: ChildProcess
  readonly out: () => string
  readonly exit: Promise<number | null>
}

/** `npm start` with a store of its own; ended with all of its processes when the test ends. */
async function starting(command: string, args: readonly string[]): Promise<Started & { stateUrl: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-start-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const stateUrl = `sqlite:${join(folder, 'state.db')}`
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...COMPILE_CACHE, PATH: process.env.PATH, STATE_URL: stateUrl, TERM: 'xterm' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
  }
  const exit = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null))
  onTestFinished(async () => {
    // SIGTERM, so that it ends its own processes.
    child.kill('SIGTERM')
    await exit
  })
  return { child, out: () => out, exit, stateUrl }
}

/** The processes that work on a store: they have its address in their environment. */
async function processesOf(stateUrl: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return environment.split('\0').includes(`STATE_URL=${stateUrl}`) ? [pid] : []
    }),
  )
  return found.flat()
}

test('npm start: the fleet reaches steady state, a second terminal sees it, SIGINT leaves nothing behind', async () => {
  const { child, out, exit, stateUrl } = await starting(process.execPath, START)
  const url = await eventually(() => {
    const found = /fleet\s+(http:\/\/\S+\/api\/nodes)/.exec(out())?.[1]
    expect(found, out()).toBeDefined()
    return found ?? ''
  }, 25_000)
  await eventually(async () => {
    const { body } = await request(url)
    const { nodes } = page.parse(await body.json())
    expect(nodes).toHaveLength(8)
    expect(nodes.every(({ publisher }) => publisher?.reachable)).toBe(true)
    expect(nodes.every(({ overall }) => overall !== 'UNKNOWN')).toBe(true)
  })
  // Without a terminal each transition is a line of its own.
  await eventually(() => expect(out()).toMatch(/ (lock-state|clock-class) \S+ {2}\S+ → \S+ {2}\(push\)/))
  expect(out()).not.toContain('\u001b')

  const status = start(['functions/main.ts', 'status'], { STATE_URL: stateUrl })
  expect(await status.exit).toBe(0)
  const rows = status.out().split('\n')
  const names = [
    'worker-0.site-a',
    'worker-1.site-a',
    'worker-2.site-a',
    'worker-0.site-b',
    'worker-0.site-c',
  ]
  for (const name of [...names, 'worker-1.site-c', 'controller-0', 'controller-1']) {
    expect(rows.filter((row) => row.startsWith(name))).toHaveLength(1)
  }

  expect((await processesOf(stateUrl)).length).toBeGreaterThanOrEqual(4)
  child.kill('SIGINT')
  expect(await exit, out()).toBe(0)
  expect(out()).toContain('the publishers hold 0 subscriptions')
  expect(await processesOf(stateUrl)).toEqual([])
})

test.skipIf(!existsSync(SCRIPT))(
  `npm start in a terminal: a table is drawn in place and the screen restored (needs ${SCRIPT} of util-linux)`,
  async () => {
    const command = [process.execPath, ...START].map((part) => `'${part}'`).join(' ')
    const { out, exit, stateUrl } = await starting(SCRIPT, [
      '-qefc',
      `stty cols 110 rows 50; exec ${command}`,
      '/dev/null',
    ])
    await eventually(() => expect(out()).toContain('\u001b[?1049h'), 25_000)
    await eventually(() => {
      const drawn = out().slice(out().lastIndexOf('\u001b[H'))
      for (const name of ['worker-0.site-a', 'controller-1', 'Latest transitions', 'Ctrl-C stops']) {
        expect(drawn).toContain(name)
      }
    })
    expect(out()).not.toContain('\u001b[?1049l')

    const [main] = await mainOf(stateUrl)
    if (main === undefined) throw new Error('npm start is not to be found')
    process.kill(main, 'SIGINT')
    expect(await exit, out().slice(-2000)).toBe(0)
    const end = out().slice(out().lastIndexOf('\u001b[?25h\u001b[?1049l'))
    expect(end).toContain('the publishers hold 0 subscriptions')
    expect(await processesOf(stateUrl)).toEqual([])
  },
)

/** The process of `npm start` itself, whatever stands between it and us. */
async function mainOf(stateUrl: string): Promise<number[]> {
  const pids = await processesOf(stateUrl)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [program = '', file] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
      return program.endsWith('node') && file === START[0] ? [Number(pid)] : []
    }),
  )
  return found.flat()
}

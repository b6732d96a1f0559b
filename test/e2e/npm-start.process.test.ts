import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { startSink } from '../support/sink.ts'
import { COMPILE_CACHE } from '../runtime/processes.ts'
import { eventually } from './support/system.ts'
import { page } from './support/view.ts'

const START = [
  fileURLToPath(new URL('../../local/main.ts', import.meta.url)),
  '--pace-ms',
  '200',
  '--poll-seconds',
  '1',
]
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BIN = join(ROOT, 'bin/ptp-watch')
const SCRIPT = '/usr/bin/script'

type Started = {
  readonly child: ChildProcess
  readonly out: () => string
  readonly exit: Promise<number | null>
}

/** `npm start` in a folder of its own; ended with all of its processes when the test ends. */
async function starting(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Started & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-start-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...COMPILE_CACHE, PATH: process.env.PATH, TERM: 'xterm', ...env },
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
  return { child, out: () => out, exit, folder }
}

type Process = { readonly pid: number; readonly parent: number; readonly command: string }

/** The processes that descend from one. */
function descendantsOf(pid: number | undefined): Process[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' })
  const all = stdout.split('\n').map((line): Process => {
    const [, own, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
    return { pid: Number(own), parent: Number(parent), command }
  })
  const below = (of: number | undefined): Process[] =>
    all.filter(({ parent }) => parent === of).flatMap((one) => [one, ...below(one.pid)])
  return below(pid)
}

function isAlive({ pid }: Process): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const EACH_TRANSITION = / (lock-state|clock-class) \S+ {2}\S+ → \S+ {2}\(push\)/

test('npm start: the fleet reaches steady state, a second terminal sees it, SIGINT leaves nothing behind', async () => {
  // A shell in which somebody works with a real system: nothing of it is for the demo.
  const sink = await startSink()
  onTestFinished(() => sink.close())
  const surroundings = {
    STATE_URL: 'sqlite:real.db',
    PUBLISHERS: '[{"node":"real","url":"http://127.0.0.1:1"}]',
    CALLBACK_URL: 'http://127.0.0.1:1',
    CALLBACK_SECRET: 'a secret of a real system',
    K_SINK: sink.url,
    STALE_AFTER_SECONDS: 'not a number',
    LOG_LEVEL: 'silent',
    PORT: '1',
  }
  const { child, out, exit, folder } = await starting(process.execPath, START, surroundings)
  const url = await eventually(() => {
    const found = /fleet\s+(http:\/\/\S+\/api\/nodes)/.exec(out())?.[1]
    expect(found, out()).toBeDefined()
    return found ?? ''
  })
  await eventually(async () => {
    const { body } = await request(url)
    const { nodes } = page.parse(await body.json())
    expect(nodes).toHaveLength(8)
    expect(nodes.every(({ publisher }) => publisher?.reachable)).toBe(true)
    expect(nodes.every(({ overall }) => overall !== 'UNKNOWN')).toBe(true)
  })
  // Without a terminal each transition is a line of its own.
  await eventually(() => expect(out()).toMatch(EACH_TRANSITION))
  expect(out()).not.toContain('\u001b')

  const [, stateUrl = ''] = /^STATE_URL=(\S+) npx ptp-watch status$/m.exec(out()) ?? []
  const status = spawnSync(BIN, ['status', '-o', 'name'], {
    cwd: folder,
    env: { PATH: process.env.PATH, STATE_URL: stateUrl },
    encoding: 'utf8',
  })
  expect(status).toMatchObject({ status: 0, stderr: '' })
  expect(status.stdout.trim().split('\n').sort()).toEqual([
    'controller-0',
    'controller-1',
    'worker-0.site-a.example.com',
    'worker-0.site-b.example.com',
    'worker-0.site-c.example.com',
    'worker-1.site-a.example.com',
    'worker-1.site-c.example.com',
    'worker-2.site-a.example.com',
  ])

  const children = descendantsOf(child.pid)
  for (const name of ['ingest', 'status', 'poll']) {
    expect(children.filter(({ command }) => command.includes(`functions/main.ts ${name}`))).toHaveLength(1)
  }
  child.kill('SIGINT')
  expect(await exit, out()).toBe(0)
  expect(out()).toContain('the publishers hold 0 subscriptions')
  expect(children.filter(isAlive)).toEqual([])
  expect(existsSync(join(folder, 'real.db'))).toBe(false)
  expect(sink.arrivals).toEqual([])
})

/** Its functions, once one of them runs. */
async function functionsOf(child: ChildProcess): Promise<Process[]> {
  return eventually(() => {
    const found = descendantsOf(child.pid).filter(({ command }) => command.includes('functions/main.ts'))
    expect(found).not.toEqual([])
    return found
  })
}

test('npm start: Ctrl-C while it starts is acknowledged, and ends it', async () => {
  const { child, out, exit } = await starting(process.execPath, START)
  const functions = await functionsOf(child)
  child.kill('SIGINT')
  expect(await exit, out()).toBe(0)
  expect(out()).toMatch(/^(http:\/\/localhost:\d+ shows[^\n]*\n)?Stopping\. [^\n]*\n$/)
  expect(functions.filter(isAlive)).toEqual([])
})

test('npm start: killed, it leaves no process behind', async () => {
  const { child, out, exit } = await starting(process.execPath, START)
  await eventually(() => expect(out()).toMatch(/^fleet /m))
  const functions = await functionsOf(child)
  child.kill('SIGKILL')
  await exit
  await eventually(() => expect(functions.filter(isAlive)).toEqual([]))
})

test('npm start | head ends quietly', async () => {
  const { child, out, exit } = await starting('/bin/sh', [
    '-c',
    `'${[process.execPath, ...START].join("' '")}' | head -n 3`,
  ])
  const functions = await functionsOf(child)
  expect(await exit).toBe(0)
  // Progress of subscribe goes to standard error, which is not head's.
  expect(out()).not.toMatch(/EPIPE|Error|removed|Stopping/)
  await eventually(() => expect(functions.filter(isAlive)).toEqual([]))
})

// macOS has a `script` with other flags.
test.skipIf(process.platform !== 'linux' || !existsSync(SCRIPT))(
  `npm start in a terminal: a table is drawn in place and the screen restored (needs ${SCRIPT} of util-linux)`,
  async () => {
    const command = [process.execPath, ...START].map((part) => `'${part}'`).join(' ')
    const { child, out, exit } = await starting(SCRIPT, [
      '-qefc',
      `stty cols 110 rows 50; exec ${command}`,
      '/dev/null',
    ])
    await eventually(() => expect(out()).toContain('\u001b[?1049h'))
    await eventually(() => {
      const drawn = out().slice(out().lastIndexOf('\u001b[H'))
      for (const name of ['worker-0.site-a', 'controller-1', 'Latest transitions', 'Ctrl-C stops']) {
        expect(drawn).toContain(name)
      }
    })
    expect(out()).not.toContain('\u001b[?1049l')

    const children = descendantsOf(child.pid)
    const main = children.find(({ command }) => command.includes(START.join(' ')))
    if (main === undefined) throw new Error('npm start is not to be found')
    process.kill(main.pid, 'SIGINT')
    expect(await exit, out().slice(-2000)).toBe(0)
    const end = out().slice(out().lastIndexOf('\u001b[?1049l'))
    expect(end).toContain('the publishers hold 0 subscriptions')
    expect(children.filter(isAlive)).toEqual([])
  },
)

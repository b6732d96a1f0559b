import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { start } from '../runtime/processes.ts'
import { COMPILE_CACHE, eventually } from './support/system.ts'
import { page } from './support/view.ts'

const START = [
  fileURLToPath(new URL('../../local/main.ts', import.meta.url)),
  '--pace-ms',
  '200',
  '--poll-seconds',
  '1',
]
const SCRIPT = '/usr/bin/script'

type Started = {
  readonly child: ChildProcess
  readonly out: () => string
  readonly exit: Promise<number | null>
}

/** `npm start` in a folder of its own; ended with all of its processes when the test ends. */
async function starting(command: string, args: readonly string[]): Promise<Started & { stateUrl: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-start-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...COMPILE_CACHE, PATH: process.env.PATH, TERM: 'xterm' },
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
  return { child, out: () => out, exit, stateUrl: `sqlite:${join(folder, '.ptp-watch/state.db')}` }
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

  const children = descendantsOf(child.pid)
  for (const name of ['ingest', 'status', 'poll']) {
    expect(children.filter(({ command }) => command.includes(`functions/main.ts ${name}`))).toHaveLength(1)
  }
  child.kill('SIGINT')
  expect(await exit, out()).toBe(0)
  expect(out()).toContain('the publishers hold 0 subscriptions')
  expect(children.filter(isAlive)).toEqual([])
}, 60_000)

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
    await eventually(() => expect(out()).toContain('\u001b[?1049h'), 25_000)
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
    const end = out().slice(out().lastIndexOf('\u001b[?25h\u001b[?1049l'))
    expect(end).toContain('the publishers hold 0 subscriptions')
    expect(children.filter(isAlive)).toEqual([])
  },
  60_000,
)

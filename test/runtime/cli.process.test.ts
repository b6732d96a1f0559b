import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { request } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { command } from '#shared/runtime/cli.ts'
import { createTerminal } from '#shared/runtime/terminal.ts'
import { echo } from './echo/definition.ts'
import { type Env, onServe, type Running, start } from './processes.ts'
import { gate } from './serving.ts'

const ENTRY = 'test/runtime/echo/main.ts'
const ENV = { CALLBACK_URL: 'http://ingest', STATE_URL: 'memory:' }

function run(args: readonly string[], env: Env = ENV): Running {
  const running = start([ENTRY, ...args], env)
  onTestFinished(async () => {
    running.kill('SIGKILL')
    await running.exit
  })
  return running
}

async function ended(args: readonly string[], env?: Env) {
  const running = run(args, env)
  return { code: await running.exit, out: running.out(), err: running.err() }
}

/** The same without a process of its own: what it needs of one is handed in. */
async function asked(args: readonly string[], env: Env = ENV) {
  let out = ''
  let err = ''
  const code = await command(
    { echo: () => Promise.resolve(echo) },
    {
      argv: args,
      env: { LOG_LEVEL: 'silent', ...env },
      terminal: createTerminal(
        {
          stdout: {
            write: (text) => {
              out += text
            },
          },
          stderr: {
            write: (text) => {
              err += text
            },
          },
        },
        {},
      ),
      signal: new AbortController().signal,
      version: () => Promise.resolve('0.0.0'),
    },
  )
  return { code, out, err }
}

describe('exit codes', () => {
  test('0, and what was asked for on standard output alone', async () => {
    const { code, out, err } = await ended(['echo', '--text', 'words'])
    expect({ code, out }).toEqual({ code: 0, out: 'words\n' })
    expect(err).not.toContain('words')
  })

  test('1 where the run says that a part failed', async () => {
    expect(await asked(['echo', '--text=part'])).toMatchObject({ code: 1, out: 'part\n' })
  })

  test('1 and one line for what is thrown, after the function was closed', async () => {
    const { code, err } = await ended(['echo', '--text=fail'])
    expect(code).toBe(1)
    expect(err).toMatch(/"message":"closed"/)
    expect(err).toMatch(/^ptp-watch: The store does not answer$/m)
    expect(err).not.toContain('    at ')
  })

  test('2 and every problem of the configuration', async () => {
    const { code, out, err } = await asked(['echo'], { PORT: 'x', STATE_URL: 'y' })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err.match(/^ {2}- \w+/gm)).toEqual(['  - PORT', '  - STATE_URL', '  - CALLBACK_URL'])
  })

  test.each([
    [['nothing'], 'Unknown function "nothing"; expected one of echo', 'ptp-watch --help'],
    [['help', 'nothing'], 'Unknown function "nothing"; expected one of echo', 'ptp-watch --help'],
    [[], 'Name a function: echo', 'ptp-watch --help'],
    [['echo', '--colour'], "Unknown option '--colour'", 'ptp-watch echo --help'],
    [['echo', 'more'], "Unexpected argument 'more'", 'ptp-watch echo --help'],
    [['echo', '--text'], 'argument missing', 'ptp-watch echo --help'],
    [['echo', '--serve=yes'], 'does not take an argument', 'ptp-watch echo --help'],
  ])('2 and how to ask for help, for %j', async (args, words, help) => {
    const { code, out, err } = await asked(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(words)
    expect(err).toContain(`Try: ${help}\n`)
  })

  test('2 for a FUNCTION_TARGET that is no function', async () => {
    const { code, err } = await asked([], { FUNCTION_TARGET: 'nothing' })
    expect(code).toBe(2)
    expect(err).toContain('FUNCTION_TARGET must be one of echo; found "nothing"')
  })

  test('1 for a port that is taken, which is named', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? `${address.port}` : ''
    const { code, err } = await ended(['echo', '--serve'], { ...ENV, HOST: '127.0.0.1', PORT: port })
    expect(code).toBe(1)
    expect(err).toContain(
      `ptp-watch: Cannot listen on 127.0.0.1 port ${port}: it is in use by another process\n`,
    )
    expect(err).toContain('"message":"closed"')
  })
})

describe('help', () => {
  test.each([['--help'], ['-h'], ['help']])('ptp-watch %s names the functions', async (flag) => {
    const { code, out, err } = await asked([flag], {})
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('  echo  shows what reaches it')
  })

  test.each([[['echo', '--help']], [['echo', '-h']], [['help', 'echo']]])(
    '%j shows the flags and the environment of a function, and needs no configuration',
    async (args) => {
      const { code, out } = await asked(args, { PORT: 'x' })
      expect(code).toBe(0)
      expect(out).toMatch(/--text <words> +Prints them\./)
      expect(out).toMatch(/--serve +Serves over HTTP/)
      expect(out).toMatch(/CALLBACK_URL +Base URL at which/)
      expect(out).toContain('Required.')
      expect(out).toMatch(/PORT +Port to listen on\..* Default: 8080/)
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    },
  )

  test('ptp-watch --version prints the version', async () => {
    expect(await asked(['--version'], {})).toMatchObject({ code: 0, out: '0.0.0\n' })
  })
})

describe('a run', () => {
  test('writes all that it has to a reader who is slow, before it ends', async () => {
    const child = spawn(process.execPath, [ENTRY, 'echo', '--text=much'], {
      env: { PATH: process.env.PATH, ...ENV },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const done = gate()
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('"closed"')) done.open()
    })
    // Nothing is read before the function is closed: what the pipe does not hold waits in the process.
    await done.opened
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
    })
    expect(await once(child, 'close')).toEqual([0, null])
    expect(size).toBe(1_000_005)
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('that %s stops ends with 1, closed', async (signal) => {
    const running = run(['echo', '--text=wait'])
    await running.until(/waiting/)
    running.kill(signal)
    expect(await running.exit).toBe(1)
    expect(running.err()).toContain(`ptp-watch: Stopped by ${signal}\n`)
    expect(running.err()).toContain('"message":"closed"')
  })

  test('that does not listen to the first signal is ended by the second', async () => {
    const running = run(['echo', '--text=deaf'])
    await running.until(/waiting/)
    running.kill('SIGINT')
    running.kill('SIGTERM')
    expect([130, 143]).toContain(await running.exit)
  })
})

describe('a served function', () => {
  async function served(env: Env = {}) {
    const host = await onServe(ENTRY, 'echo', { ...ENV, ...env })
    onTestFinished(async () => {
      host.running.kill('SIGKILL')
      await host.running.exit
    })
    return host
  }

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes what is in flight on %s, tells it, closes after it, and ends with 0',
    async (signal) => {
      const { url, running } = await served()
      const held = request(`${url}/held`)
      await running.until(/"message":"held"/)
      running.kill(signal)
      const { statusCode, headers, body } = await held
      expect(statusCode).toBe(200)
      expect(headers.connection).toBe('close')
      expect(await body.json()).toEqual({ aborted: true })
      expect(await running.exit).toBe(0)
      const messages = running
        .err()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).message)
      expect(messages).toEqual(['listening', 'held', 'draining', 'closed'])
    },
  )
})

import { COMPILE_CACHE, MAIN } from './runtime/processes.ts'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { expect, onTestFinished, test, vi } from 'vitest'
import { MOST_UNREAD } from '#shared/log.ts'
import { freePort } from './support/free-port.ts'

const LINES = 30_000
const LOG = new URL('../shared/log.ts', import.meta.url).href

/** Logs many lines in one go and then over time, says how much waits to be read, and ends when it is told to. */
const WRITER = `
import { createLog } from ${JSON.stringify(LOG)}
import { setTimeout as pause } from 'node:timers/promises'
const log = createLog({ level: 'info', now: Date.now })
let most = 0
for (let n = 0; n < ${LINES}; n++) {
  log.info('x'.repeat(200), { n })
  most = Math.max(most, process.stderr.writableLength)
  if (n % 1000 === 0) await pause(1)
}
process.stdout.write(String(most) + '\\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
log.info('after', { n: ${LINES} })
process.stdin.unref()
`

function run(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...env },
    stdio: 'pipe',
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

test('what a stalled reader of the log does not read is bounded, dropped beyond that, and counted', async () => {
  const { stdout, stderr, stdin } = run(['--input-type=module', '-e', WRITER])
  if (stdout === null || stderr === null) throw new Error('There are no pipes')
  const [most] = await once(stdout, 'data')
  expect(Number(most)).toBeGreaterThan(MOST_UNREAD / 2)
  expect(Number(most)).toBeLessThan(MOST_UNREAD + 1_000)

  const read = text(stderr)
  // The last of it shows that the log goes on; it is written once what waited has been read.
  stdin?.write('go\n')
  const lines: { n?: number; dropped?: number; level: string; message: string }[] = (await read)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const told = lines.filter(({ dropped }) => dropped !== undefined)
  const dropped = told.reduce((sum, line) => sum + (line.dropped ?? 0), 0)
  expect(dropped).toBeGreaterThan(LINES / 2)
  expect(lines.length - told.length + dropped).toBe(LINES + 1)
  expect(told[0]).toMatchObject({
    level: 'warn',
    message: 'log lines dropped: the reader of the log is too slow',
  })
})

test('a process whose log nobody reads serves on, and ends when it is told to', async () => {
  const port = await freePort()
  const child = run([MAIN, 'ingest'], {
    HOST: '127.0.0.1',
    PORT: String(port),
    STATE_URL: 'memory:',
    LOG_LEVEL: 'debug',
    PUBLISHERS: '[{"node":"a","url":"http://127.0.0.1:9"}]',
  })
  const url = `http://127.0.0.1:${port}`
  const post = async (n: number) => {
    const body = JSON.stringify({ rubbish: n })
    const reply = await request(`${url}/event/a`, { method: 'POST', body })
    await reply.body.dump()
    return reply.statusCode
  }
  await vi.waitFor(() => post(0), 60_000)
  for (let n = 0; n < 40; n++) {
    const statuses = await Promise.all(Array.from({ length: 50 }, (_, m) => post(50 * n + m)))
    expect(new Set(statuses)).toEqual(new Set([204]))
  }
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

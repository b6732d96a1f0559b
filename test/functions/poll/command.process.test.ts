import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { readEvery } from '#functions/poll/every.ts'
import { onServe, start, MAIN } from '../../runtime/processes.ts'

const ENV = {
  STATE_URL: 'memory:',
  CALLBACK_URL: 'http://ingest.example.com',
  PUBLISHERS: '[{"node":"worker-0","url":"http://127.0.0.1:9"}]',
  LOG_LEVEL: 'error',
  HOST: '127.0.0.1',
  PORT: '0',
}

async function ptpWatch(args: readonly string[], env: Record<string, string> = {}) {
  const running = start([MAIN, 'poll', ...args], { ...ENV, ...env })
  onTestFinished(() => running.kill('SIGKILL'))
  const code = await running.exit
  return { out: running.out(), err: running.err(), code }
}

test.each([
  { why: 'no number', args: ['--serve', '--every', 'often'] },
  { why: 'negative, as if it were a flag', args: ['--serve', '--every', '-5'] },
  { why: 'longer than a third of STALE_AFTER_SECONDS', args: ['--serve', '--every', '11'] },
  { why: 'without --serve', args: ['--every', '5'] },
])('poll --every that is $why ends with 2 and names the flag and the help', async ({ args }) => {
  const { code, err, out } = await ptpWatch(args, { STALE_AFTER_SECONDS: '30' })
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^ptp-watch: .*--every/)
  expect(err).toContain('Try: ptp-watch poll --help')
})

test.each(['NaN', 'Infinity', '1e3', '0x5', '5s', '5,5', '1_0', ' ', '1'.repeat(400)])(
  'the seconds %j are refused',
  (text) => {
    expect(() => readEvery(text, 180_000)).toThrow(/--every must be a number of seconds from 1 to 60/)
  },
)

test.each([
  ['1', 30_000, 1_000],
  ['10', 30_000, 10_000],
  ['2.5', 30_000, 2_500],
  [' 60 ', 180_000, 60_000],
])('the seconds %j with staleness after %d ms are %d ms', (text, staleAfterMs, expected) => {
  expect(readEvery(text, staleAfterMs)).toBe(expected)
})

test('where STALE_AFTER_SECONDS leaves no room, it is named', () => {
  expect(() => readEvery('1', 2_000)).toThrow(/needs STALE_AFTER_SECONDS of at least 3/)
})

test('a problem of a publisher is said once', async () => {
  const { code, err, out } = await ptpWatch([], { LOG_LEVEL: 'info' })
  expect({ code, out }).toEqual({ code: 1, out: '0 of 1 publishers polled\n' })
  expect(err.match(/ECONNREFUSED/g)).toHaveLength(1)
  expect(err).toMatch(/^failed: worker-0: /m)
})

test.each([
  ['poll', '/tick'],
  ['subscribe', '/'],
])('%s refuses a query parameter that it does not know', async (name, path) => {
  const { url, stop } = await onServe(MAIN, name, { ...ENV, LOG_LEVEL: 'info' })
  onTestFinished(stop)
  const { statusCode, body } = await request(`${url}${path}?dry-run=1`, { method: 'POST' })
  expect([statusCode, await body.json()]).toEqual([
    400,
    { error: { code: 'query', message: expect.stringContaining('dry-run') } },
  ])
})

test.each([
  ['subscribe', '--remove'],
  ['status', '--exit-code'],
])('%s --serve %s ends with 2: what is served does not heed it', async (name, flag) => {
  const running = start([MAIN, name, '--serve', flag], ENV)
  onTestFinished(() => running.kill('SIGKILL'))
  expect(await running.exit).toBe(2)
  expect(running.err()).toContain(`${flag} cannot be combined with --serve`)
})

import { expect, test } from 'vitest'
import { start } from '../runtime/processes.ts'

const SEED = '--seed must be a whole number from 0 to 4294967295; found "abc"'
const PACE = '--pace-ms must be a whole number from 1 to 3600000; found'

test.each([
  ['local/main.ts', '--seed=abc', `npm start: ${SEED}`],
  [
    'local/main.ts',
    '--poll-seconds=',
    'npm start: --poll-seconds must be a whole number from 1 to 3600; found ""',
  ],
  ['local/main.ts', '--seed', "npm start: Option '--seed <value>' argument missing"],
  ['local/main.ts', '--bogus', "npm start: Unknown option '--bogus'"],
  ['local/fleet-main.ts', '--pace-ms=1e3', `fleet-main: ${PACE} "1e3"`],
  [
    'local/fleet-main.ts',
    '--base-port=99999',
    'fleet-main: --base-port must be a whole number from 1 to 65500; found "99999"',
  ],
])('%s %s is refused in one line', async (file, flag, problem) => {
  const running = start([file, ...flag.split(' ')])
  expect({ code: await running.exit, out: running.out(), err: running.err() }).toEqual({
    code: 2,
    out: '',
    err: `${problem}\n`,
  })
})

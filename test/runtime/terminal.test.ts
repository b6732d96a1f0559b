import { expect, test } from 'vitest'
import type { Environment } from '#shared/config/index.ts'
import { createTerminal } from '#shared/runtime/terminal.ts'

const terminal = (tty: boolean, env: Environment, columns = 80) => {
  const written: string[] = []
  const stream = (name: string) => ({
    isTTY: tty,
    columns,
    write: (text: string) => written.push(`${name}:${text}`),
  })
  return { ...createTerminal({ stdout: stream('out'), stderr: stream('err') }, env), written }
}

test.each<[boolean, Environment, boolean]>([
  [true, {}, true],
  [true, { NO_COLOR: '' }, true],
  [true, { NO_COLOR: '1' }, false],
  [true, { TERM: 'dumb' }, false],
  [true, { TERM: 'xterm' }, true],
  [false, { TERM: 'xterm' }, false],
])('on a terminal: %s, with %j, colours are wanted: %s', (tty, env, wanted) => {
  expect(terminal(tty, env).colour).toBe(wanted)
})

test('its width is the terminal’s, or 100 where there is none', () => {
  expect(terminal(true, {}).columns).toBe(80)
  expect(terminal(false, {}).columns).toBe(100)
})

test('what was asked for and remarks go different ways', () => {
  const { out, err, written } = terminal(false, {})
  out('a')
  err('b')
  expect(written).toEqual(['out:a', 'err:b'])
})

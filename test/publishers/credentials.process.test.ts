import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { start, MAIN } from '../runtime/processes.ts'
import { folder } from './support/folder.ts'

describe.each(['poll', 'subscribe', 'doctor'])('%s', (name) => {
  test.each([
    ['PUBLISHER_CA_FILE', undefined, 'ENOENT'],
    ['PUBLISHER_CA_FILE', 'no certificate', 'holds no PEM'],
    ['PUBLISHER_CA_FILE', '-----BEGIN CERTIFICATE-----\nxxxx\n', 'bad end line'],
    ['PUBLISHER_TOKEN_FILE', ' \n', 'is empty'],
  ])('ends with 2 and names %s once where the file is %j', async (variable, text, problem) => {
    const path = await folder()
    const file = join(path, 'file')
    if (text !== undefined) await writeFile(file, text)
    const running = start([MAIN, name], {
      STATE_URL: `sqlite:${join(path, 'state.db')}`,
      CALLBACK_URL: 'http://127.0.0.1:1',
      PUBLISHERS: JSON.stringify(['n1', 'n2'].map((node) => ({ node, url: 'https://127.0.0.1:1' }))),
      [variable]: file,
    })
    const code = await running.exit
    const lines = running
      .err()
      .split('\n')
      .filter((line) => line.includes(variable))
    expect({ code, out: running.out() }).toEqual({ code: 2, out: '' })
    expect(lines).toEqual([expect.stringContaining(problem)])
  })
})

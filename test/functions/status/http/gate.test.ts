import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openGate } from '#functions/status/http/gate.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptp-watch-gate-'))
const file = join(folder, 'token')
writeFileSync(file, 'öpen-sesame\n')
afterAll(() => rmSync(folder, { recursive: true }))

const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`

test.each([
  ['Bearer öpen-sesame', undefined],
  ['bearer  öpen-sesame', undefined],
  [basic('anybody:öpen-sesame'), undefined],
  [basic(':öpen-sesame'), undefined],
  [undefined, 401],
  ['', 401],
  ['Bearer', 401],
  ['Bearer open-sesame', 401],
  ['Bearer öpen-sesame2', 401],
  [basic('öpen-sesame'), 401],
  [basic('öpen-sesame:'), 401],
  ['Basic !!', 401],
  ['Digest öpen-sesame', 401],
])('%s: %s', async (authorization, status) => {
  const gate = await openGate(file)
  const reply = await gate({ headers: authorization === undefined ? {} : { authorization } })
  expect(reply?.status).toBe(status)
  if (reply !== undefined) expect(reply.headers?.['www-authenticate']).toContain('Basic realm=')
})

test('a file that is not there, or is empty, is told at the start', async () => {
  await expect(openGate(join(folder, 'none'))).rejects.toThrow('STATUS_TOKEN_FILE cannot be read')
  writeFileSync(join(folder, 'empty'), '\n')
  await expect(openGate(join(folder, 'empty'))).rejects.toThrow('which is empty')
})

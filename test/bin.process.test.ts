import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BIN = join(ROOT, 'bin/ptp-watch')
const folder = mkdtempSync(join(tmpdir(), 'ptp-watch-bin-'))
afterAll(() => rmSync(folder, { recursive: true }))

// A Node.js that npm might run on, which cannot run ptp-watch.
mkdirSync(join(folder, 'old'))
writeFileSync(join(folder, 'old/node'), '#!/bin/sh\nexit 9\n', { mode: 0o755 })
const env = { PATH: `${join(folder, 'old')}:/usr/bin:/bin`, STATE_URL: 'memory:' }

const run = (file: string, args: readonly string[], cwd = folder): SpawnSyncReturns<string> =>
  spawnSync(file, args, { cwd, env, encoding: 'utf8' })

test('runs under the Node.js of the project, whichever is first in PATH, from another folder and by a link', () => {
  const link = join(folder, 'ptp-watch')
  symlinkSync(BIN, link)
  for (const file of [BIN, link]) {
    expect(run(file, ['--version'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
  }
})

test('npx ptp-watch writes nothing but what ptp-watch writes, and ends as it ends', () => {
  const npx = (args: readonly string[]) =>
    spawnSync('npx', ['ptp-watch', ...args], {
      cwd: ROOT,
      // What a shell of the user has: nothing of the npm that runs the tests. The registry is never asked.
      env: {
        PATH: process.env.PATH,
        STATE_URL: 'memory:',
        npm_config_cache: join(folder, 'npm'),
        npm_config_registry: 'http://127.0.0.1:1',
        npm_config_update_notifier: 'false',
      },
      encoding: 'utf8',
    })
  const { status, stdout, stderr } = npx(['status', '--json'])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual({ nodes: [], continue: null })
  expect(npx(['status', '--exit-code']).status).toBe(3)
})

test('an installed copy runs too, though Node.js strips no types below node_modules', () => {
  const installed = join(folder, 'with space/node_modules/ptp-watch')
  for (const part of ['bin', 'functions', 'shared', 'package.json']) {
    cpSync(join(ROOT, part), join(installed, part), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'))
  expect(run(join(installed, 'bin/ptp-watch'), ['status', '-o', 'json'])).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('"nodes": []'),
    stderr: '',
  })
})

test('says what to do where its Node.js is missing', () => {
  const bare = join(folder, 'bare')
  cpSync(join(ROOT, 'bin'), join(bare, 'bin'), { recursive: true })
  expect(run(join(bare, 'bin/ptp-watch'), ['--version'])).toMatchObject({
    status: 2,
    stdout: '',
    stderr: `ptp-watch: Node.js 24 is missing: run \`npm ci\` in ${bare}, which installs it\n`,
  })
})

test('a signal reaches ptp-watch itself, which drains', async () => {
  const child = spawn(BIN, ['ingest'], {
    cwd: folder,
    env: { ...env, HOST: '127.0.0.1', PORT: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
    if (text.includes('"listening"')) child.kill('SIGTERM')
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect(log).toContain('"draining"')
})

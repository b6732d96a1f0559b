import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { ConfigurationError } from '#shared/errors.ts'
import { openDriver } from '#shared/state/store/open.ts'
import { document } from '../drivers/samples.ts'
import { temporaryFolder } from '../drivers/temporary-folder.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const write = { state: document('a'), entries: [], expected: undefined, trimThrough: 0 }

test('memory: opens a store of its own each time', async () => {
  const [one, two] = [await openDriver('memory:'), await openDriver('memory:')]
  await one.write('a', write)
  expect((await one.read('a'))?.state).toEqual(write.state)
  expect(await two.read('a')).toBeUndefined()
})

test('sqlite: opens the file that follows, the same store each time', async () => {
  const folder = await temporaryFolder()
  onTestFinished(folder.remove)
  const url = `sqlite:${join(folder.path, 'a b:c?d#é.db')}`
  const [one, two] = [await openDriver(url), await openDriver(url)]
  await one.write('a', write)
  expect((await two.read('a'))?.state).toEqual(write.state)
  await one.close()
  await two.close()
})

test.each([
  '',
  'sqlite',
  'sqlite:',
  'memory',
  'memory:x',
  'Memory:',
  '/var/lib/state.db',
  'postgres://user:hunter2@host',
  '__proto__:x',
  'constructor:',
])('%j is refused with the forms that are allowed, and without what may be secret', async (url) => {
  const refused = await openDriver(url).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(ConfigurationError)
  expect(String(refused)).toMatch(/STATE_URL.*sqlite:<file>, memory:/)
  expect(String(refused)).not.toContain('hunter2')
})

test('a driver is loaded only when its scheme is asked for', async () => {
  const source = `
    const { openDriver } = await import('#shared/state/store/open.ts')
    const loaded = () => process.moduleLoadList.includes('NativeModule sqlite')
    await openDriver('memory:')
    const before = loaded()
    await import('#shared/state/drivers/sqlite.ts')
    console.log(JSON.stringify([before, loaded()]))`
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', source], { cwd: ROOT })
  expect(JSON.parse(stdout)).toEqual([false, true])
})

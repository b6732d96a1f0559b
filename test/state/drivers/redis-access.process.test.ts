import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { reasonOf } from '#shared/errors.ts'
import { createAuthority } from '../../publishers/support/certificates.ts'
import { until } from '../../support/redis.ts'
import { back, create, logOf, open, refusal, start } from './redis-fixture.ts'
import { document, entries } from './samples.ts'
import { temporaryFolder } from './temporary-folder.ts'

describe('a Redis with a password', () => {
  const secured = () => start({ config: ['requirepass right/one'] })
  const at = (port: number, login: string) => `redis://${login}@127.0.0.1:${port}`

  test('takes one from the URL', async () => {
    const { port } = await secured()
    await create(await open(at(port, ':right%2Fone')), 'a')
    await create(await open(at(port, 'default:right%2Fone')), 'b')
  })

  test.each([
    [':hunter2', /rejects the user name or password/],
    ['nobody:hunter2', /rejects the user name or password/],
    ['', /requires a password/],
  ])(
    'refuses the login %j when the driver is opened, which is told without the password',
    async (login, words) => {
      const { port, url } = await secured()
      const error = await refusal(open(login === '' ? url : at(port, login)))
      expect(error.message).toMatch(words)
      expect(error.message).toContain(`127.0.0.1:${port}`)
      expect(reasonOf(error)).not.toContain('hunter2')
    },
  )

  test('takes the one of a file, and the next one when both were changed', async () => {
    const server = await secured()
    const folder = await temporaryFolder()
    onTestFinished(folder.remove)
    const file = join(folder.path, 'password')
    await writeFile(file, 'right/one\n')
    const driver = await open(server.url, { token: file })
    await create(driver, 'a')

    await server.cli(['CONFIG', 'SET', 'requirepass', 'another'], ['-a', 'right/one', '--no-auth-warning'])
    await server.cli(['CLIENT', 'KILL', 'TYPE', 'normal'], ['-a', 'another', '--no-auth-warning'])
    await until(async () => /password/.test((await refusal(driver.ping())).message))
    expect((await refusal(driver.ping())).retryable).toBe(true)
    await writeFile(`${file}.new`, 'another\n')
    await rename(`${file}.new`, file)
    await back(driver)
    expect((await driver.read('a'))?.state).toEqual(document('a', 2))
  })

  test('that has none is refused one', async () => {
    const { port } = await start()
    expect((await refusal(open(at(port, ':hunter2')))).message).toMatch(/rejects the user name or password/)
  })
})

describe('a user of Redis', () => {
  const page = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8')
  const [, RULE = ''] = /^ACL SETUSER ptp on >secret (.*)$/m.exec(page) ?? []
  const withUser = async (rule: string) => {
    const server = await start()
    await server.cli([
      'ACL',
      'SETUSER',
      'ptp',
      'on',
      '>secret',
      ...rule.split(' ').filter((word) => word !== ''),
    ])
    return `redis://ptp:secret@127.0.0.1:${server.port}/1`
  }

  test('needs no more rights than docs/redis.md lists', async () => {
    const driver = await open(await withUser(RULE))
    const version = await create(driver, 'a')
    const write = { state: document('a', 3), entries: entries(3, 3), expected: version, trimThrough: 1 }
    await driver.write('a', write)
    expect(await logOf(driver, 'a')).toEqual([2, 3])
    expect((await driver.list({ limit: 9 })).nodes).toHaveLength(1)
    await driver.remove('a')
    expect(await driver.list({ limit: 9 })).toEqual({ nodes: [], next: undefined })
  })

  test('without +info is served all the same', async () => {
    await create(await open(await withUser(RULE.replace('+info', ''))), 'a')
  })

  test('without our keys is refused when the driver is opened', async () => {
    const error = await refusal(open(await withUser(RULE.replace('~ptpwatch:*', '~other:*'))))
    expect(error.message).toMatch(/denies this user a command or key.*NOPERM/)
  })

  test.each(['+xadd', '+zadd', '+evalsha'])(
    'without %s is refused a write, which then changed nothing',
    async (right) => {
      const driver = await open(await withUser(RULE.replace(right, '')))
      expect((await refusal(create(driver, 'a'))).message).toMatch(/docs\/redis\.md/)
      expect(await driver.read('a')).toBeUndefined()
      expect(await logOf(driver, 'a')).toEqual([])
      expect((await driver.list({ limit: 9 })).nodes).toEqual([])
    },
  )
})

describe('a Redis with TLS', () => {
  const secured = async () => {
    const folder = await temporaryFolder()
    onTestFinished(folder.remove)
    const authority = await createAuthority(folder.path, 'ca')
    const pair = await authority.issue('server')
    const tls = {
      cert: join(folder.path, 'cert'),
      key: join(folder.path, 'key'),
      ca: join(folder.path, 'ca.crt'),
    }
    await writeFile(tls.cert, pair.cert)
    await writeFile(tls.key, pair.key)
    const { port } = await start({ tls })
    return { port, ca: tls.ca, folder: folder.path }
  }

  test('is trusted by the authority of STATE_CA_FILE, and by that alone', async () => {
    const { port, ca, folder } = await secured()
    const url = `rediss://127.0.0.1:${port}`
    await create(await open(url, { ca }), 'a')
    await createAuthority(folder, 'other')
    for (const settings of [{}, { ca: join(folder, 'other.crt') }]) {
      const error = await refusal(open(url, settings))
      expect(error.message).toContain('presents an untrusted certificate (STATE_CA_FILE)')
    }
  })

  test('has to bear the name that it was called by', async () => {
    const { port, ca } = await secured()
    const error = await refusal(open(`rediss://localhost:${port}`, { ca }))
    expect(error.message).toContain('presents an untrusted certificate')
  })

  test('is not spoken to in plain text', async () => {
    const { port } = await secured()
    const driver = await open(`redis://127.0.0.1:${port}`)
    expect((await refusal(driver.ping())).message).toContain('is unreachable')
  })
})

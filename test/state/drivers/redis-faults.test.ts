import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConflictError, reasonOf, StoreError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import type { RedisSettings } from '#shared/redis/client.ts'
import { TIMING, type Timing } from '#shared/redis/connection.ts'
import type { Driver, Version } from '#shared/state/driver.ts'
import { createRedisDriver } from '#shared/state/drivers/redis.ts'
import { createAuthority } from '../../publishers/support/certificates.ts'
import { type RedisOptions, startRedis, until } from '../../support/redis.ts'
import { PATIENT } from './redis-subject.ts'
import { document, entries, numbers, range } from './samples.ts'
import { temporaryFolder } from './temporary-folder.ts'

const start = async (options?: RedisOptions) => {
  const server = await startRedis(options)
  onTestFinished(() => server.close())
  return { ...server, url: `redis://127.0.0.1:${server.port}` }
}
const lines: string[] = []
const log = createLog({ level: 'debug', now: () => 0, write: (line) => void lines.push(line) })
const open = async (url: string, redis: RedisSettings = {}, timing: Timing = PATIENT) => {
  const driver = await createRedisDriver(url, { log, redis }, timing)
  onTestFinished(() => driver.close())
  return driver
}
const refusal = async (made: Promise<unknown>) => {
  const reason = await made.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(reason instanceof StoreError)) throw new Error('no StoreError', { cause: reason })
  return reason
}
const create = (driver: Driver, node: string, seq = 2) =>
  driver.write(node, {
    state: document(node, seq),
    entries: entries(1, seq),
    expected: undefined,
    trimThrough: 0,
  })
const append = (driver: Driver, node: string, seq: number, expected: Version) =>
  driver.write(node, {
    state: document(node, seq),
    entries: entries(seq, seq),
    expected,
    trimThrough: 0,
  })
const logOf = async (driver: Driver, node: string) => numbers(await driver.log(node, { after: 0, limit: 99 }))
/** Resolves once the driver works again, as it does after a pause between two attempts to connect. */
const back = (driver: Driver) =>
  until(() =>
    driver.ping().then(
      () => true,
      () => false,
    ),
  )
const HASTY: Timing = { ...TIMING, answerMs: 500, silenceMs: 700 }

describe('a Redis that is not there', () => {
  test.each(['always', 'everysec'])(
    'that was killed is named in the error, and serves the same driver again when it is back, with all that it had (appendfsync %s)',
    async (when) => {
      const server = await start({ config: ['appendonly yes', `appendfsync ${when}`] })
      const driver = await open(server.url)
      const version = await create(driver, 'a')
      await server.stop()
      for (const call of [driver.read('a'), append(driver, 'a', 3, version), driver.ping()]) {
        const error = await refusal(call)
        expect(error.message).toContain(`127.0.0.1:${server.port}`)
        expect(error.retryable).toBe(true)
      }
      await server.start()
      await back(driver)
      expect(await driver.read('a')).toEqual({ state: document('a', 2), version })
      await append(driver, 'a', 3, version)
      expect(await logOf(driver, 'a')).toEqual([1, 2, 3])
    },
  )

  test('does not keep a driver from being opened, which works once Redis has come', async () => {
    const server = await start()
    await server.stop()
    const driver = await open(server.url)
    expect((await refusal(driver.read('a'))).retryable).toBe(true)
    await server.start()
    await back(driver)
    await create(driver, 'a')
  })

  test('refuses what is written meanwhile, and is not sent it afterwards', async () => {
    const server = await start()
    const driver = await open(server.url)
    await server.stop()
    const nodes = range(1, 2000).map((number) => `n${number}`)
    const attempts = await Promise.allSettled(nodes.map((node) => create(driver, node)))
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toEqual([])
    await server.start()
    await back(driver)
    expect(await server.cli(['DBSIZE'])).toBe('0')
  })

  test('that came back without its newest writes takes no change that was computed from one of them', async () => {
    const server = await start()
    const driver = await open(server.url)
    const version = await create(driver, 'a')
    await server.stop()
    await server.start()
    await back(driver)
    await expect(append(driver, 'a', 3, version)).rejects.toBeInstanceOf(ConflictError)
    await create(driver, 'a')
    await expect(append(driver, 'a', 3, version)).rejects.toBeInstanceOf(ConflictError)
  })
})

describe('a Redis that is silent', () => {
  test('fails calls after a while, and serves the same driver again when it goes on', async () => {
    const server = await start()
    const driver = await open(server.url, {}, HASTY)
    const version = await create(driver, 'a')
    server.signal('SIGSTOP')
    const first = await Promise.all([refusal(driver.read('a')), refusal(append(driver, 'a', 3, version))])
    for (const { message, retryable } of first) {
      expect(message).toMatch(`Redis at 127.0.0.1:${server.port} did not answer within 500 ms`)
      expect(retryable).toBe(true)
    }
    // The connection is given up, so that what holds the silent one (a firewall, a dead machine) is got around.
    await until(async () => /could not be reached/.test((await refusal(driver.ping())).message))
    server.signal('SIGCONT')
    await back(driver)
    // The write that was not answered may have been done, as a whole or not at all.
    const seq = (await driver.read('a'))?.state.seq
    expect([2, 3]).toContain(seq)
    expect(await logOf(driver, 'a')).toEqual(range(1, seq ?? 0))
  })

  test('is sent no more than it could ever answer, and has all of that when it goes on', async () => {
    const server = await start()
    const driver = await open(server.url)
    const big = {
      ...document('big'),
      quarantine: [{ receivedAt: '2026-11-23T00:00:00.000Z', reason: 'big', body: 'x'.repeat(1024 * 1024) }],
    }
    server.signal('SIGSTOP')
    const attempts = range(1, 80).map((number) =>
      driver.write(`n${number}`, { state: big, entries: [], expected: undefined, trimThrough: 0 }),
    )
    const [refused] = attempts.slice(-1)
    expect((await refusal(Promise.resolve(refused))).message).toContain('has too much to answer already')
    server.signal('SIGCONT')
    const written = (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled')
    expect(written.length).toBeGreaterThan(50)
    expect(await server.cli(['EVAL', "return #redis.call('KEYS', '*:state:*')", '0'])).toBe(
      String(written.length),
    )
  })

  test('while a connection is opened is no worse', async () => {
    const server = await start()
    server.signal('SIGSTOP')
    const driver = await open(server.url, {}, { ...HASTY, connectMs: 200 })
    expect((await refusal(driver.ping())).message).toContain('could not be reached within 200 ms')
    server.signal('SIGCONT')
    await back(driver)
    await create(driver, 'a')
  })
})

test('a Redis whose memory is full refuses writes as a whole, still reads, and goes on when it has room', async () => {
  const server = await start({ config: ['maxmemory-policy noeviction'] })
  const driver = await open(server.url)
  const version = await create(driver, 'a')
  await server.cli(['CONFIG', 'SET', 'maxmemory', '1'])
  for (const call of [append(driver, 'a', 3, version), create(driver, 'b')]) {
    const error = await refusal(call)
    expect(error.message).toMatch(/has no memory left \(maxmemory\)/)
    expect(error.retryable).toBe(true)
  }
  expect(await driver.read('a')).toEqual({ state: document('a', 2), version })
  expect(await logOf(driver, 'a')).toEqual([1, 2])
  expect(await driver.read('b')).toBeUndefined()
  expect(await driver.list({ limit: 9 })).toMatchObject({ nodes: [{ version }] })
  await server.cli(['CONFIG', 'SET', 'maxmemory', '0'])
  await append(driver, 'a', 3, version)
  await create(driver, 'b')
})

test('a Redis that drops keys when its memory is full is remarked on in the log', async () => {
  const server = await start({ config: ['maxmemory 100mb', 'maxmemory-policy allkeys-lru'] })
  lines.length = 0
  await open(server.url)
  expect(lines.join('')).toMatch(/"warn".*noeviction.*allkeys-lru/)
})

describe('a Redis with a password', () => {
  const secured = () => start({ config: ['requirepass right/one'] })
  const at = (port: number, login: string) => `redis://${login}@127.0.0.1:${port}`

  test('takes one from the URL', async () => {
    const { port } = await secured()
    await create(await open(at(port, ':right%2Fone')), 'a')
    await create(await open(at(port, 'default:right%2Fone')), 'b')
  })

  test.each([
    [':hunter2', /does not take the user or the password/],
    ['nobody:hunter2', /does not take the user or the password/],
    ['', /wants a password/],
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
    const driver = await open(server.url, { password: file })
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
    expect((await refusal(open(at(port, ':hunter2')))).message).toMatch(
      /does not take the user or the password/,
    )
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
    expect(error.message).toMatch(/does not let this user do what is needed.*NOPERM/)
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
      expect(error.message).toContain('shows a certificate that is not trusted (STATE_CA_FILE)')
    }
  })

  test('has to bear the name that it was called by', async () => {
    const { port, ca } = await secured()
    const error = await refusal(open(`rediss://localhost:${port}`, { ca }))
    expect(error.message).toContain('shows a certificate that is not trusted')
  })

  test('is not spoken to in plain text', async () => {
    const { port } = await secured()
    const driver = await open(`redis://127.0.0.1:${port}`)
    expect((await refusal(driver.ping())).message).toContain('out of reach')
  })
})

describe('replicas', () => {
  const withReplica = async () => {
    const master = await start()
    const replica = await start({ config: [`replicaof 127.0.0.1 ${master.port}`] })
    await until(async () => (await replica.cli(['ROLE'])).includes('connected'))
    return { master, replica }
  }

  test('are refused alone, and passed over beside their master', async () => {
    const { master, replica } = await withReplica()
    expect((await refusal(open(replica.url))).message).toContain('is a read-only replica')
    const both = `redis://127.0.0.1:${replica.port},127.0.0.1:${master.port}`
    await create(await open(both), 'a')
    expect(await master.cli(['DBSIZE'])).toBe('3')
    // While the master is away a replica beside it is no reason to give up.
    await master.stop()
    const waiting = await open(both)
    expect((await refusal(waiting.ping())).message).toMatch(
      /out of reach.*is a read-only|is a read-only.*out of reach/,
    )
    await master.start()
    await back(waiting)
  })

  test('that were masters a moment ago are left for the new one', async () => {
    const { master, replica } = await withReplica()
    const driver = await open(`redis://127.0.0.1:${replica.port},127.0.0.1:${master.port}`)
    const version = await create(driver, 'a')
    await until(async () => (await replica.cli(['DBSIZE'])) === '3')
    await replica.cli(['REPLICAOF', 'NO', 'ONE'])
    await master.cli(['REPLICAOF', '127.0.0.1', String(replica.port)])
    const error = await refusal(append(driver, 'a', 3, version))
    expect(error.message).toContain('is a read-only replica')
    expect(error.retryable).toBe(true)
    await append(driver, 'a', 3, version)
    expect(await logOf(driver, 'a')).toEqual([1, 2, 3])
  })

  test('take over by way of Sentinels, and nothing that they had is lost', async () => {
    const { master, replica } = await withReplica()
    const sentinel = await start({
      sentinel: true,
      config: [
        `sentinel monitor fleet 127.0.0.1 ${master.port} 1`,
        'sentinel down-after-milliseconds fleet 300',
        'sentinel failover-timeout fleet 3000',
      ],
    })
    const { port } = sentinel
    const nobody = 'redis-sentinel://127.0.0.1:1'
    const driver = await open(`${nobody},127.0.0.1:${port}/fleet`)
    const version = await create(driver, 'a')
    await until(async () => (await replica.cli(['DBSIZE'])) === '3')
    expect((await refusal(open(`redis-sentinel://127.0.0.1:${port}/other`))).message).toContain(
      'knows no master named other',
    )
    expect((await refusal(open(`redis://127.0.0.1:${port}`))).message).toContain('is a Sentinel')
    expect((await refusal(open(`redis-sentinel://127.0.0.1:${master.port}/fleet`))).message).toContain(
      'is no Sentinel',
    )
    const known = () => sentinel.cli(['SENTINEL', 'REPLICAS', 'fleet'])
    await until(async () => (await known()).includes(String(replica.port)))
    await master.stop()
    expect((await refusal(driver.ping())).retryable).toBe(true)
    await back(driver)
    expect(await driver.read('a')).toEqual({ state: document('a', 2), version })
    await append(driver, 'a', 3, version)
    expect(await replica.cli(['DBSIZE'])).toBe('3')
  })
})

/** What no server at hand would answer: a socket that speaks the protocol as `answer` says. Gives its port. */
async function standIn(answer: (command: string, port: number) => string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const [, command = ''] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
        socket.write(answer(command, socket.localPort ?? 0))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const text = (value: string) => `$${value.length}\r\n${value}\r\n`

test.each([
  ['5.0.14', false],
  ['6.0.20', false],
  ['6.2.0', true],
  ['10.0.0', true],
])('a server of version %s: whether it is new enough is %s', async (version, enough) => {
  const info = `redis_version:${version}\r\nredis_mode:standalone\r\nrole:master\r\nmaxmemory:0\r\n`
  const port = await standIn((command) => (command === 'INFO' ? text(info) : ':0\r\n'))
  const opened = open(`redis://127.0.0.1:${port}`)
  if (enough) await (await opened).close()
  else {
    const error = await refusal(opened)
    expect(error.message).toContain(`it is ${version}, and 6.2 is needed`)
    expect(error.retryable).toBe(false)
  }
})

test('a cluster whose members send on and on is given up after some', async () => {
  let asked = 0
  const port = await standIn((command, self) => {
    if (command === 'INFO') return text('redis_version:7.0.0\r\nredis_mode:cluster\r\n')
    if (command === 'CLUSTER') return `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:${self}\r\n`
    if (command === 'HMGET') asked += 1
    return `-MOVED 1 127.0.0.1:${self}\r\n`
  })
  const driver = await open(`redis://127.0.0.1:${port}`)
  const error = await refusal(driver.read('a'))
  expect(error.message).toContain('sends on and on')
  expect(error.retryable).toBe(true)
  expect(asked).toBe(5)
})

describe('what lies in Redis', () => {
  test('is a hash, a stream and an index, all in the same slot', async () => {
    const server = await start()
    const driver = await open(server.url)
    const version = await create(driver, 'node1.example.com')
    const keys = (await server.cli(['KEYS', '*'])).split('\n').sort()
    expect(keys).toEqual([
      'ptpwatch:{0}:log:node1.example.com',
      'ptpwatch:{0}:nodes',
      'ptpwatch:{0}:state:node1.example.com',
    ])
    expect(await server.cli(['HGET', keys[2] ?? '', 'version'])).toBe(version)
    expect(JSON.parse(await server.cli(['HGET', keys[2] ?? '', 'state']))).toEqual(
      document('node1.example.com', 2),
    )
    expect(await server.cli(['XRANGE', keys[0] ?? '', '2', '2'])).toMatch(/^2-0\nentry\n\{"seq":2,/)
    expect(await server.cli(['ZRANGE', keys[1] ?? '', '0', '-1'])).toBe('node1.example.com')
    await driver.remove('node1.example.com')
    expect(await server.cli(['DBSIZE'])).toBe('0')
  })

  test('is in the database that the URL names', async () => {
    const server = await start()
    await create(await open(`${server.url}/3`), 'a')
    expect(await server.cli(['DBSIZE'], ['-n', '3'])).toBe('3')
    expect(await server.cli(['DBSIZE'])).toBe('0')
  })

  test('is written also by a server that has forgotten our scripts', async () => {
    const server = await start()
    const driver = await open(server.url)
    const version = await create(driver, 'a')
    await server.cli(['SCRIPT', 'FLUSH'])
    await append(driver, 'a', 3, version)
    await server.cli(['SCRIPT', 'FLUSH'])
    await driver.remove('a')
  })

  test('and is damaged is told by the name of the node, and leaves the others readable', async () => {
    const server = await start()
    const driver = await open(server.url)
    await create(driver, 'a')
    await create(driver, 'b')
    const key = (await server.cli(['KEYS', '*state:a'])).trim()
    await server.cli(['HSET', key, 'state', '{"node":"a"}'])
    const error = await refusal(driver.read('a'))
    expect(error.message).toContain('node a')
    expect(error.retryable).toBe(false)
    await server.cli(['DEL', key])
    await server.cli(['SET', key, 'something else'])
    const other = await refusal(driver.read('a'))
    expect(other.message).toContain('holds something else under a key of ours')
    expect(other.retryable).toBe(false)
    expect((await driver.read('b'))?.state).toEqual(document('b', 2))
  })

  test('and was removed by hand in part is made anew', async () => {
    const server = await start()
    const driver = await open(server.url)
    const version = await create(driver, 'a', 5)
    await server.cli(['DEL', (await server.cli(['KEYS', '*state:a'])).trim()])
    expect(await driver.list({ limit: 9 })).toEqual({ nodes: [], next: undefined })
    await expect(append(driver, 'a', 6, version)).rejects.toBeInstanceOf(ConflictError)
    await create(driver, 'a', 2)
    expect(await logOf(driver, 'a')).toEqual([1, 2])
    expect((await driver.list({ limit: 9 })).nodes).toHaveLength(1)
  })
})

test('a driver that was closed gives a StoreError, and closing again is nothing', async () => {
  const server = await start()
  const driver = await open(server.url)
  const underWay = refusal(Promise.all(range(1, 50).map(() => driver.read('a'))).then(() => driver.read('a')))
  await driver.close()
  await driver.close()
  await underWay
  expect((await refusal(driver.read('a'))).message).toContain('closed')
  expect((await refusal(create(driver, 'a'))).retryable).toBe(false)
  await until(async () => !/cmd=(hmget|zcard)/.test(await server.cli(['CLIENT', 'LIST'])))
})

import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConflictError } from '#shared/errors.ts'
import { append, create, logOf, open, refusal, start } from './redis-fixture.ts'
import { document } from './samples.ts'

describe('what lies in Redis', () => {
  test('is a hash, a stream and an index, all in the same slot', async () => {
    const server = await start()
    const driver = await open(server.url)
    const version = await create(driver, 'node1.example.com')
    const keys = (await server.cli(['KEYS', '*'])).split('\n').sort()
    expect(keys).toEqual([
      'ptpwatch:{e}:log:node1.example.com',
      'ptpwatch:{e}:nodes',
      'ptpwatch:{e}:state:node1.example.com',
    ])
    expect(await server.cli(['HGET', keys[2] ?? '', 'version'])).toBe(version)
    expect(JSON.parse(await server.cli(['HGET', keys[2] ?? '', 'state']))).toEqual(
      document('node1.example.com', 2),
    )
    expect(await server.cli(['HLEN', keys[2] ?? ''])).toBe('2')
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
    for (const damage of [
      ['HSET', key, 'state', '{"node":"a"}'],
      ['HDEL', key, 'state'],
    ]) {
      await server.cli(damage)
      const error = await refusal(driver.read('a'))
      expect(error.message).toContain('node a')
      expect(error.retryable).toBe(false)
      const { nodes } = await driver.list({ limit: 9 })
      expect(nodes.map(({ state }) => state.damaged)).toEqual([error.message, undefined])
    }
    await server.cli(['DEL', key])
    await server.cli(['SET', key, 'something else'])
    const other = await refusal(driver.read('a'))
    expect(other.message).toContain('has a key of another type where PTP Watch keeps its state')
    expect(other.retryable).toBe(false)
    expect((await driver.read('b'))?.state).toEqual(document('b', 2))
  })

  test('and has a log entry that cannot be read has all others', async () => {
    const server = await start()
    const driver = await open(server.url)
    await create(driver, 'a', 3)
    const key = (await server.cli(['KEYS', '*log:a'])).trim()
    await server.cli(['XDEL', key, '3-0'])
    await server.cli(['XADD', key, '3-1', 'entry', '{"seq":3'])
    expect(await driver.log('a', { after: 0, limit: 9 })).toMatchObject([{ seq: 1 }, { seq: 2 }])
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

test('a cluster whose members keep redirecting is given up after some redirections', async () => {
  let asked = 0
  const port = await standIn((command, self) => {
    if (command === 'INFO') return text('redis_version:7.0.0\r\nredis_mode:cluster\r\n')
    if (command === 'CLUSTER') return `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:${self}\r\n`
    if (command === 'HMGET') asked += 1
    return `-MOVED 1 127.0.0.1:${self}\r\n`
  })
  const driver = await open(`redis://127.0.0.1:${port}`)
  const error = await refusal(driver.read('a'))
  expect(error.message).toContain('keeps redirecting')
  expect(error.retryable).toBe(true)
  expect(asked).toBe(5)
})

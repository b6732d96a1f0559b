import { describe, expect, test } from 'vitest'
import { ConflictError } from '#shared/errors.ts'
import { until } from '../../support/redis.ts'
import { append, back, create, lines, logOf, open, refusal, start } from './redis-fixture.ts'
import { document, range } from './samples.ts'

const HASTY = 1500

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
      expect(message).toMatch(`Redis at 127.0.0.1:${server.port} did not answer within ${HASTY} ms`)
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
    expect((await refusal(Promise.resolve(refused))).message).toContain(
      'Too many commands wait for a reply from Redis',
    )
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
    const driver = await open(server.url, {}, HASTY)
    expect((await refusal(driver.ping())).message).toContain(`could not be reached within ${HASTY} ms`)
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
  for (const refused of [refusal(append(driver, 'a', 3, version)), refusal(create(driver, 'b'))]) {
    const error = await refused
    expect(error.message).toMatch(/is out of memory \(maxmemory\)/)
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

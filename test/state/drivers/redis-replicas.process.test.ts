import { describe, expect, test } from 'vitest'
import { until } from '../../support/redis.ts'
import { append, back, create, logOf, open, refusal, start } from './redis-fixture.ts'
import { document } from './samples.ts'

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
      /is unreachable.*is a read-only|is a read-only.*is unreachable/,
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
        'sentinel down-after-milliseconds fleet 600000',
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
      'is not a Sentinel',
    )
    const known = () => sentinel.cli(['SENTINEL', 'REPLICAS', 'fleet'])
    await until(async () => (await known()).includes(String(replica.port)))
    await master.stop()
    // Only now: a busy machine makes a master wait for longer.
    await sentinel.cli(['SENTINEL', 'SET', 'fleet', 'down-after-milliseconds', '300'])
    // On a busy machine the replica may have taken over by now.
    const away: unknown = await driver.ping().catch((error: unknown) => error)
    if (away !== undefined) expect(away).toMatchObject({ code: 'store', retryable: true })
    await back(driver)
    expect(await driver.read('a')).toEqual({ state: document('a', 2), version })
    await append(driver, 'a', 3, version)
    expect(await replica.cli(['DBSIZE'])).toBe('3')
  })
})

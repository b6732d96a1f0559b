import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { silentLog } from '#shared/log.ts'
import { createRedisDriver } from '#shared/state/drivers/redis.ts'
import { PATIENT, type RedisServer, startRedisCluster, until } from '../../support/redis.ts'
import { driverContract } from './contract.ts'
import { processContract } from './processes.ts'
import { document, entries, numbers, range } from './samples.ts'

let cluster: Awaited<ReturnType<typeof startRedisCluster>>
beforeAll(async () => {
  cluster = await startRedisCluster(['cluster-node-timeout 1000', 'cluster-require-full-coverage no'])
})
afterAll(() => cluster?.close())

const urlOf = (servers: readonly RedisServer[]) =>
  `redis://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
const makeSubject = async () => {
  const url = urlOf(cluster.servers.slice(1, 2))
  return {
    url,
    open: () => createRedisDriver(url, { log: silentLog }, PATIENT),
    async cleanUp() {
      await Promise.all(cluster.servers.map((server) => server.cli(['FLUSHALL'])))
    },
  }
}

driverContract('redis (three masters)', makeSubject)
processContract('redis (three masters)', makeSubject, { updates: 150 })

describe('a cluster', () => {
  const open = async (servers = cluster.servers, waitMs = PATIENT) => {
    const driver = await createRedisDriver(urlOf(servers), { log: silentLog }, waitMs)
    onTestFinished(async () => {
      await driver.close()
      await (await makeSubject()).cleanUp()
    })
    return driver
  }
  const write = (node: string) => ({
    state: document(node, 2),
    entries: entries(1, 2),
    expected: undefined,
    trimThrough: 0,
  })
  const names = range(1, 60).map((number) => `node${number}`)

  test('holds a share of the nodes on each of its masters', async () => {
    const driver = await open()
    await Promise.all(names.map((node) => driver.write(node, write(node))))
    for (const server of cluster.servers) expect(Number(await server.cli(['DBSIZE']))).toBeGreaterThan(10)
    expect((await driver.list({ limit: 100 })).nodes).toHaveLength(60)
  })

  test('is followed while a slot moves from one master to another, and when it has', async () => {
    const driver = await open()
    // All nodes whose share is in one slot; node1.example.com has the tag e (see docs/redis.md).
    const tag = 'e'
    const slot = (await cluster.servers[0]?.cli(['CLUSTER', 'KEYSLOT', `{${tag}}`])) ?? ''
    const node = 'node1.example.com'
    await driver.write(node, write(node))
    const found = await Promise.all(cluster.servers.map((server) => server.cli(['DBSIZE'])))
    const source = cluster.servers[found.findIndex((size) => size !== '0')]
    const target = cluster.servers.find((server) => server !== source)
    if (source === undefined || target === undefined) throw new Error('no masters')
    const [sourceId, targetId] = [
      await source.cli(['CLUSTER', 'MYID']),
      await target.cli(['CLUSTER', 'MYID']),
    ]
    await target.cli(['CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId])
    await source.cli(['CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId])
    const keys = (await source.cli(['CLUSTER', 'GETKEYSINSLOT', slot, '10'])).split('\n')
    const move = ['MIGRATE', '127.0.0.1', String(target.port), '', '0', '5000', 'KEYS', ...keys]
    expect(await source.cli(move)).toBe('OK')

    const version = (await driver.read(node))?.version
    const next = { state: document(node, 3), entries: entries(3, 3), expected: version, trimThrough: 0 }
    const after = await driver.write(node, next)
    for (const server of cluster.servers) await server.cli(['CLUSTER', 'SETSLOT', slot, 'NODE', targetId])
    expect(await driver.read(node)).toEqual({ state: document(node, 3), version: after })
    await driver.write(node, { ...next, state: document(node, 4), entries: entries(4, 4), expected: after })
    expect(numbers(await driver.log(node, { after: 0, limit: 9 }))).toEqual([1, 2, 3, 4])
    expect(await target.cli(['DBSIZE'])).toBe('3')
  })

  test('serves what the other masters have while one is silent, be it the one that the URL names', async () => {
    const driver = await open(cluster.servers.slice(0, 1), 2500)
    await Promise.all(names.map((node) => driver.write(node, write(node))))
    const [silent, ...others] = cluster.servers
    const keys = await Promise.all(others.map((server) => server.cli(['KEYS', '*:state:*'])))
    const served = keys.flatMap((each) => each.split('\n')).map((key) => key.replace(/^.*:/, ''))
    expect(served.length).toBeGreaterThan(20)
    silent?.signal('SIGSTOP')
    const refused = await driver.ping().catch((error: unknown) => error)
    expect(refused).toMatchObject({ retryable: true })
    for (const node of served) expect((await driver.read(node))?.state).toEqual(document(node, 2))
    silent?.signal('SIGCONT')
    await until(() =>
      driver.ping().then(
        () => true,
        () => false,
      ),
    )
    expect((await driver.list({ limit: 100 })).nodes).toHaveLength(60)
  })

  test('without one of its masters is down for a while, and serves the same driver when it is whole', async () => {
    const driver = await open(cluster.servers.slice(0, 1), 2500)
    await Promise.all(names.map((node) => driver.write(node, write(node))))
    const [first] = cluster.servers
    await first?.stop()
    const refused = await driver.ping().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StoreError)
    expect(refused).toMatchObject({ retryable: true })
    await first?.start()
    const works = () =>
      driver.ping().then(
        () => true,
        () => false,
      )
    await until(works)
    const held = await driver.list({ limit: 100 })
    // The master that was stopped keeps nothing on a disk here; what the others have is all there.
    expect(held.nodes.length).toBeGreaterThan(20)
    for (const { state } of held.nodes) expect(state).toEqual(document(state.node, 2))
  })
})

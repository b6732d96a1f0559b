import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { startRedis } from '../../support/redis.ts'
import { onTestFinished } from 'vitest'
import { conditionOf, conditionsOf, eventsOf, HOSTS, NOT_FREERUNNING, startWorld } from './world.ts'

const NODE = 'worker-0.example.com'
const TAKEN = { 'our host': { status: 202, body: '' }, 'Functions Framework': { status: 204, body: '' } }

/** What a Node says of each state. */
const SAID = {
  LOCKED: { PTPSynchronized: 'True Locked', PTPNotFreerunning: 'True Locked' },
  HOLDOVER: { PTPSynchronized: 'False Holdover', PTPNotFreerunning: 'True Holdover' },
  FREERUN: { PTPSynchronized: 'False Freerun', PTPNotFreerunning: 'False Freerun' },
  UNKNOWN: { PTPSynchronized: 'Unknown Unknown', PTPNotFreerunning: 'Unknown Unknown' },
} as const

describe.each(HOSTS)('on %s', (host) => {
  test('an event sets the conditions of its Node to what the store says, and writes an Event', async () => {
    const { api, ...world } = await startWorld()
    api.nodes.add(NODE)
    const condition = await world.serve({}, host)
    for (const overall of ['LOCKED', 'HOLDOVER', 'FREERUN', 'UNKNOWN', 'LOCKED'] as const) {
      const entry = await world.become(NODE, overall)
      expect(await condition.send(NODE, entry)).toEqual(TAKEN[host])
      expect(conditionsOf(api, NODE)).toEqual(SAID[overall])
    }
    expect(api.nodes.get('', NODE).status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    )
    expect(eventsOf(api, NODE)).toEqual({ PTPHoldover: 1, PTPFreerun: 1, PTPRecovered: 1 })
  })

  test('a tick sweeps: it finds what no event told of, and what time alone has changed', async () => {
    const { api, ...world } = await startWorld()
    for (const name of ['a', 'b', 'c', 'd']) api.nodes.add(name)
    const condition = await world.serve({}, host)
    await world.become('a', 'FREERUN')
    await world.become('b', 'LOCKED', { confirmedAt: Date.now() - 600_000 })
    await world.become('c', 'LOCKED')
    expect(await condition.tick()).toEqual(TAKEN[host])
    expect(['a', 'b', 'c'].map((name) => conditionsOf(api, name).PTPSynchronized)).toEqual([
      'False Freerun',
      'Unknown Stale',
      'True Locked',
    ])
    expect(conditionsOf(api, 'd')).toEqual({ PTPSynchronized: undefined, PTPNotFreerunning: undefined })
    expect(conditionOf(api, 'a')?.message).toMatch(
      /^FREERUN since 20.*Z: lock-state of ens5fx\/master is FREERUN$/,
    )
  })

  test('an API server that is away makes the sender try again, which then works', async () => {
    const { api, ...world } = await startWorld()
    api.nodes.add(NODE)
    const condition = await world.serve({}, host)
    const entry = await world.become(NODE, 'FREERUN')
    await api.away()
    expect((await condition.send(NODE, entry)).status).toBe(host === 'our host' ? 503 : 500)
    expect((await condition.tick()).status).toBe(host === 'our host' ? 503 : 500)
    await api.back()
    expect(await condition.send(NODE, entry)).toEqual(TAKEN[host])
    expect(conditionsOf(api, NODE)).toEqual(SAID.FREERUN)
  })
})

test('what is repeated, late or out of order changes nothing and is counted once', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const condition = await world.serve()
  const entries = []
  for (const overall of ['LOCKED', 'FREERUN', 'LOCKED', 'FREERUN', 'LOCKED'] as const) {
    entries.push(await world.become(NODE, overall))
  }
  for (const entry of entries.toReversed())
    expect(await condition.send(NODE, entry)).toEqual(TAKEN['our host'])
  const writes = () => api.requests.filter(({ verb }) => verb === 'patch' || verb === 'create').length
  const before = writes()
  await Promise.all(entries.flatMap((entry) => [1, 2, 3].map(() => condition.send(NODE, entry))))
  expect(writes()).toBe(before)
  expect(conditionsOf(api, NODE)).toEqual(SAID.LOCKED)
  expect(eventsOf(api, NODE)).toEqual({ PTPFreerun: 2, PTPRecovered: 2 })
})

test('an event of anybody else is taken, logged and left alone', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const condition = await world.serve()
  const headers = {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/x',
    'ce-type': 'com.example.other',
  }
  expect(await condition.post('/', headers, JSON.stringify({ node: NODE }))).toEqual(TAKEN['our host'])
  expect(api.requests).toEqual([])
  expect(condition.logged()).toContainEqual(
    expect.objectContaining({ level: 'warn', message: 'ignored an event that is not from PTP Watch' }),
  )
})

test('a transition is a change of status, a heartbeat is every sweep', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const condition = await world.serve()
  await world.become(NODE, 'FREERUN')
  const long = '2026-01-01T00:00:00Z'
  const aged = (status: string) => ({ status, lastHeartbeatTime: long, lastTransitionTime: long })
  api.nodes.patch('', NODE, 'status', {
    type: 'application/strategic-merge-patch+json',
    body: {
      status: {
        conditions: [
          { type: 'ptp-watch.io/PTPSynchronized', ...aged('False') },
          { type: NOT_FREERUNNING, ...aged('True') },
        ],
      },
    },
  })
  await condition.tick()
  const [synchronized, notFreerunning] = [conditionOf(api, NODE), conditionOf(api, NODE, NOT_FREERUNNING)]
  expect(synchronized).toMatchObject({ status: 'False', lastTransitionTime: long })
  expect(notFreerunning).toMatchObject({
    status: 'False',
    lastTransitionTime: expect.not.stringContaining(long),
  })
  expect(synchronized?.lastHeartbeatTime).not.toBe(long)
  const patches = () => api.requests.filter(({ verb }) => verb === 'patch').length
  const before = patches()
  await condition.tick()
  expect(patches()).toBe(before + 1)
})

test('two instances at once, over one Redis, leave each Node as the store says and count each occurrence once', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const { api, ...world } = await startWorld({ stateUrl: `redis://127.0.0.1:${redis.port}` })
  const names = ['a', 'b', 'c']
  for (const name of names) api.nodes.add(name)
  const [one, two] = await Promise.all([world.serve(), world.serve()])
  const sent: Promise<unknown>[] = []
  for (let round = 0; round < 6; round += 1) {
    for (const name of names) {
      const entry = await world.become(name, round % 2 === 0 ? 'FREERUN' : 'LOCKED')
      for (const instance of [one, two, one]) sent.push(instance.send(name, entry))
    }
    sent.push(one.tick(), two.tick())
  }
  expect(await Promise.all(sent)).toEqual(sent.map(() => ({ status: 202, body: '' })))
  for (const name of names) {
    expect(conditionsOf(api, name)).toEqual(SAID.LOCKED)
    expect(eventsOf(api, name)).toEqual({ PTPFreerun: 3, PTPRecovered: 3 })
  }
})

test('an instance that read the store before the change never overwrites one that read it after', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const entry = await world.become(NODE, 'FREERUN')
  const [slow, fast] = await Promise.all([world.serve(), world.serve()])
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  let patches = 0
  api.before(({ verb }) => (verb === 'patch' && ++patches === 1 ? held : undefined))
  const late = slow.send(NODE, entry)
  await expect.poll(() => patches).toBe(1)
  const back = await world.become(NODE, 'LOCKED')
  expect(await fast.send(NODE, back)).toMatchObject({ status: 202 })
  letGo()
  expect(await late).toMatchObject({ status: 202 })
  expect(conditionsOf(api, NODE)).toEqual(SAID.LOCKED)
})

test('a burst of events of one node does not cost a look at its Node each', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const condition = await world.serve()
  const entry = await world.become(NODE, 'FREERUN')
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  let looks = 0
  api.before(({ verb, resource }) => {
    if (verb !== 'get' || resource !== 'nodes') return
    looks += 1
    return held
  })
  const burst = Array.from({ length: 20 }, () => condition.send(NODE, entry))
  await expect.poll(() => looks).toBe(1)
  letGo()
  expect(new Set((await Promise.all(burst)).map(({ status }) => status))).toEqual(new Set([202]))
  // Two, where all of them had come by then; a busy machine may bring some later.
  expect(looks).toBeLessThan(20)
})

test('after a restart nothing is told twice, and what came meanwhile is told', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const first = await world.serve()
  await world.become(NODE, 'LOCKED')
  const freerun = await world.become(NODE, 'FREERUN')
  await first.send(NODE, freerun)
  expect(await first.stop()).toBe(0)
  await world.become(NODE, 'LOCKED')
  const second = await world.serve()
  await second.tick()
  await second.send(NODE, freerun)
  expect(eventsOf(api, NODE)).toEqual({ PTPFreerun: 1, PTPRecovered: 1 })
})

test('a transition that only a poll has found is an Event, and its message tells of the clock', async () => {
  const { api, ...world } = await startWorld()
  api.nodes.add(NODE)
  const condition = await world.serve()
  const entry = await world.append(NODE, {
    ...{ type: 'missed', kind: 'lock-state', instance: 'ens1f0', from: 'LOCKED', to: 'HOLDOVER' },
    ...{
      notBefore: '2026-11-28T15:00:00.000Z',
      notAfter: new Date().toISOString(),
      via: 'poll',
      overall: 'HOLDOVER',
    },
  })
  await condition.send(NODE, entry)
  expect(eventsOf(api, NODE)).toEqual({ PTPEventsMissed: 1 })
  expect(api.events.all()).toMatchObject([
    {
      metadata: { namespace: 'default' },
      involvedObject: { kind: 'Node', name: NODE, uid: api.nodes.get('', NODE).metadata.uid },
      type: 'Warning',
      message: expect.stringMatching(
        /lock-state of ens1f0 went from LOCKED to HOLDOVER between .* and .*poll/,
      ),
    },
  ])
})

test('a node without a Node is told once; when it joins, goes and comes back it has its conditions', async () => {
  const { api, ...world } = await startWorld()
  const condition = await world.serve()
  const entry = await world.become(NODE, 'FREERUN')
  const told = () =>
    condition
      .logged()
      .filter(({ level }) => level === 'warn')
      .map(({ node }) => node)
  for (const _ of [1, 2]) {
    expect(await condition.send(NODE, entry)).toMatchObject({ status: 202 })
    expect(await condition.tick()).toMatchObject({ status: 202 })
  }
  expect(told()).toEqual([NODE])
  api.nodes.add(NODE)
  await condition.tick()
  expect(conditionsOf(api, NODE)).toEqual(SAID.FREERUN)
  api.nodes.remove('', NODE)
  await condition.tick()
  expect(told()).toEqual([NODE, NODE])
  api.nodes.add(NODE)
  await condition.tick()
  expect(conditionsOf(api, NODE)).toEqual(SAID.FREERUN)
})

test('a sweep asks nothing about nodes that it did not see in its list, and no name leads to another address', async () => {
  const { api, ...world } = await startWorld()
  const condition = await world.serve()
  const entry = await world.become('not-here', 'FREERUN')
  const asked: string[] = []
  api.before(({ resource, name }) => {
    asked.push(`${resource}/${name ?? ''}`)
  })
  expect(await condition.tick()).toMatchObject({ status: 202 })
  expect(asked).toEqual(['nodes/'])
  for (const node of ['', '.', '..', '../pods', 'N1', 'n'.repeat(254)]) {
    expect(await condition.send(node, entry)).toMatchObject({ status: 202 })
  }
  expect(asked).toEqual(['nodes/'])
})

test('a node that the store forgot, or cannot read, is Unknown and never stays True', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const { api, store, ...world } = await startWorld({ stateUrl: `redis://127.0.0.1:${redis.port}` })
  for (const name of ['forgotten', 'damaged']) {
    api.nodes.add(name)
    await world.become(name, 'LOCKED')
  }
  const condition = await world.serve()
  await condition.tick()
  expect(conditionsOf(api, 'forgotten')).toEqual(SAID.LOCKED)
  await store.remove('forgotten')
  const keys = (await redis.cli(['KEYS', '*damaged*'])).split('\n').filter((key) => key !== '')
  for (const key of keys) await redis.cli(['HSET', key, 'state', '{"node":']).catch(() => '')
  await condition.tick()
  expect(conditionOf(api, 'forgotten')).toMatchObject({ status: 'Unknown', reason: 'NotWatched' })
  expect(conditionOf(api, 'damaged')).toMatchObject({ status: 'Unknown', reason: 'Unreadable' })
})

test('LOCKED after FREERUN is a recovery also by way of UNKNOWN; a node that was only unknown has recovered from nothing', async () => {
  const { api, ...world } = await startWorld()
  for (const name of ['a', 'b']) api.nodes.add(name)
  const condition = await world.serve()
  for (const overall of ['FREERUN', 'UNKNOWN', 'LOCKED'] as const) {
    await condition.send('a', await world.become('a', overall))
    if (overall !== 'FREERUN') await condition.send('b', await world.become('b', overall))
  }
  expect([eventsOf(api, 'a'), eventsOf(api, 'b')]).toEqual([{ PTPFreerun: 1, PTPRecovered: 1 }, {}])
})

test('a sweep that SIGTERM ends early is answered 503, for another instance to do it', async () => {
  const { api, ...world } = await startWorld()
  for (let i = 0; i < 30; i += 1) {
    api.nodes.add(`n${i}`)
    await world.become(`n${i}`, 'LOCKED')
  }
  const condition = await world.serve()
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  let patches = 0
  api.before(({ verb }) => {
    if (verb !== 'patch') return
    patches += 1
    return held
  })
  const tick = condition.tick()
  await expect.poll(() => patches).toBeGreaterThan(0)
  const stopped = condition.stop()
  await condition.running.until(/"message":"draining"/)
  letGo()
  expect(await tick).toEqual({ status: 503, body: expect.stringContaining('ended early by a shutdown') })
  expect(await stopped).toBe(0)
  expect(condition.logged().filter(({ level }) => level === 'error')).toEqual([])
})

test('while the store is away sweeps fail, and what nobody has confirmed for three minutes becomes Unknown', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const { api, ...world } = await startWorld({ stateUrl: `redis://127.0.0.1:${redis.port}` })
  for (const name of ['old', 'new', 'other']) api.nodes.add(name)
  for (const name of ['old', 'new']) await world.become(name, 'LOCKED', { confirmedAt: Date.now() + 1_000 })
  const condition = await world.serve({ STALE_AFTER_SECONDS: '3600' })
  expect(await condition.tick()).toMatchObject({ status: 202 })
  const { conditions } = api.nodes.get('', 'old').status
  const aged = conditions.map((one) => ({
    ...one,
    lastHeartbeatTime: new Date(Date.now() - 200_000).toISOString(),
  }))
  const type = 'application/strategic-merge-patch+json'
  api.nodes.patch('', 'old', 'status', { type, body: { status: { conditions: aged } } })
  await redis.stop()
  for (const _ of [1, 2]) expect(await condition.tick()).toMatchObject({ status: 503 })
  expect(conditionOf(api, 'old')).toMatchObject({ status: 'Unknown', reason: 'StoreDown' })
  expect(conditionsOf(api, 'new')).toEqual(SAID.LOCKED)
  expect(conditionOf(api, 'other')).toBeUndefined()
  await redis.start()
  await world.become('old', 'LOCKED')
  await expect.poll(() => condition.tick()).toMatchObject({ status: 202 })
  expect(conditionsOf(api, 'old')).toEqual(SAID.LOCKED)
})

describe('what the API server refuses', () => {
  test('RBAC: the sender is told what is missing, the sweep goes on, and it works once it is granted', async () => {
    const { api, ...world } = await startWorld()
    api.nodes.add(NODE)
    const condition = await world.serve()
    const entry = await world.become(NODE, 'FREERUN')
    api.permitted.delete('patch nodes/status')
    const refused = { status: 503, body: expect.stringMatching(/patch nodes\/status .*403.*nodes\/status/) }
    expect(await condition.send(NODE, entry)).toEqual(refused)
    expect(await condition.tick()).toEqual(refused)
    api.permitted.add('patch nodes/status')
    expect(await condition.tick()).toMatchObject({ status: 202 })
    expect(conditionsOf(api, NODE)).toEqual(SAID.FREERUN)
  })

  test('one Node: the others are brought up to date, and a run ends with 1 and its name', async () => {
    const { api, ...world } = await startWorld()
    for (const name of ['a', 'b', 'c']) {
      api.nodes.add(name)
      await world.become(name, 'HOLDOVER')
    }
    api.before(({ verb, name }) => {
      if (verb === 'patch' && name === 'b') throw new Error('etcdserver: request timed out')
    })
    expect(await world.run()).toMatchObject({
      code: 1,
      out: 'Nodes up to date: 2, failures: 1\n',
      err: expect.stringMatching(
        /^failed: Node b: Cannot patch nodes\/status b: .*etcdserver: request timed out$/m,
      ),
    })
    expect(['a', 'c'].map((name) => conditionsOf(api, name))).toEqual([SAID.HOLDOVER, SAID.HOLDOVER])
  })

  test('too many requests, and a token that was rotated: asked again by itself', async () => {
    const { api, ...world } = await startWorld()
    api.nodes.add(NODE)
    const condition = await world.serve()
    const entry = await world.become(NODE, 'FREERUN')
    api.refuseNext(1, { code: 429, headers: { 'retry-after': '1' } })
    expect(await condition.send(NODE, entry)).toMatchObject({ status: 202 })
    await api.rotateToken('another-token')
    expect(await condition.tick()).toMatchObject({ status: 202 })
    expect(conditionsOf(api, NODE)).toEqual(SAID.FREERUN)
  })
})

test('kubectl describe node shows the conditions, and Events with how often they happened', async () => {
  const { api, env, ...world } = await startWorld()
  api.nodes.add(NODE)
  for (const overall of ['LOCKED', 'FREERUN', 'LOCKED', 'FREERUN'] as const) await world.become(NODE, overall)
  expect(await world.run()).toEqual({
    code: 0,
    out: 'Nodes up to date: 1, failures: 0\n',
    err: expect.any(String),
  })
  const child = spawn('kubectl', ['describe', 'node', NODE], {
    env: { PATH: process.env.PATH, HOME: dirname(env.KUBECONFIG), KUBECONFIG: env.KUBECONFIG },
  })
  const shown = await text(child.stdout)
  expect(shown).toMatch(
    /^ {2}ptp-watch\.io\/PTPSynchronized +False .* Freerun +FREERUN since .*lock-state of ens5fx\/master is FREERUN$/m,
  )
  expect(shown).toMatch(
    /^ {2}Warning +PTPFreerun +.*\(x2 over .*\) +ptp-watch +PTP state of the node went from LOCKED to FREERUN at /m,
  )
  expect(shown).toMatch(/^ {2}Normal +PTPRecovered +\S+ +ptp-watch /m)
})

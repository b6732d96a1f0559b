import fc from 'fast-check'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { createConfigMapDriver } from '#shared/state/drivers/configmap.ts'
import { objectNameOf } from '#shared/state/drivers/configmap/naming.ts'
import type { Driver, Version } from '#shared/state/store/driver.ts'
import type { NodeState } from '#shared/state/document.ts'
import { createStore } from '#shared/state/store/store.ts'
import { failureOf, startApi } from '../../kubernetes/api.ts'
import type { KubernetesApi } from '../../support/kubernetes-api.ts'
import { openConfigMaps, PATIENT } from './configmap-subject.ts'
import { document, entries, numbers, range } from './samples.ts'

const NAMESPACE = 'ptp-watch'
let api: KubernetesApi
let driver: Driver

beforeEach(async () => {
  api = await startApi({ tls: false })
  driver = await openConfigMaps(api, { namespace: NAMESPACE })
})

const logOf = async (node: string) => numbers(await driver.log(node, { after: 0, limit: 10_000 }))
const objectOf = (node: string) => api.objects.get(NAMESPACE, objectNameOf(node))

function create(node: string, seq = 0): Promise<Version> {
  const state = document(node, seq)
  return driver.write(node, { state, entries: entries(1, seq), expected: undefined, trimThrough: 0 })
}

/** A ConfigMap that somebody else made, or a change that somebody else makes to one of ours. */
function put(name: string, change: { labels?: Record<string, string>; data?: Record<string, string> }): void {
  api.objects.create(NAMESPACE, { metadata: { name, labels: change.labels }, data: change.data }, 'kubectl')
}

describe('the name of a ConfigMap', () => {
  const VALID = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

  test.each([
    ['node1', 'ptp-watch.node1'],
    ['du-7.site-3.example.com', 'ptp-watch.du-7.site-3.example.com'],
    ['10.0.0.1', 'ptp-watch.10.0.0.1'],
  ])('is the plain name of the node %s', (node, name) => expect(objectNameOf(node)).toBe(name))

  test.each([
    ['Node_1.Example', /^ptp-watch\.node-1-example--[0-9a-f]{32}$/],
    ['-x-', /^ptp-watch\.x--[0-9a-f]{32}$/],
    ['', /^ptp-watch\.x--[0-9a-f]{32}$/],
    ['节点', /^ptp-watch\.x--[0-9a-f]{32}$/],
    ['a..b', /^ptp-watch\.a-b--[0-9a-f]{32}$/],
    ['x'.repeat(300), /^ptp-watch\.x{60}--[0-9a-f]{32}$/],
  ])('is what can be read of the node %j, and a hash', (node, name) =>
    expect(objectNameOf(node)).toMatch(name),
  )

  test('is valid for every node, and no two have the same', () => {
    const character = fc.constantFrom('a', 'A', 'b', '-', '.', '_', '1', 'é', ' ')
    const name = fc.oneof(fc.string({ unit: character, maxLength: 5 }), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(name, name, (one, other) => {
        for (const object of [objectNameOf(one), objectNameOf(other)]) {
          expect(object).toMatch(VALID)
          expect(object.length).toBeLessThanOrEqual(253)
        }
        expect(objectNameOf(one) === objectNameOf(other)).toBe(one === other)
      }),
    )
  })

  test('that was made of one node is not the plain one of another', () => {
    const made = objectNameOf('Node_1')
    const posing = made.slice('ptp-watch.'.length)
    expect(objectNameOf(posing)).not.toBe(made)
  })
})

describe('a ConfigMap', () => {
  test('holds the document and the log, for people to read too, and says whose it is', async () => {
    await create('Node_1', 2)
    const { metadata, data } = objectOf('Node_1')
    expect(metadata.labels).toMatchObject({
      'app.kubernetes.io/managed-by': 'ptp-watch',
      'app.kubernetes.io/component': 'node-state',
    })
    expect(metadata.annotations).toEqual({ 'ptp-watch/node': 'Node_1' })
    expect(JSON.parse(data.state ?? '')).toEqual(document('Node_1', 2))
    expect(data.log?.split('\n').map((line) => line && JSON.parse(line))).toEqual([...entries(1, 2), ''])
  })

  test('keeps what others have put on it', async () => {
    const first = await create('a', 1)
    const before = objectOf('a')
    const theirs = {
      ...before,
      metadata: { ...before.metadata, labels: { ...before.metadata.labels, team: 'radio' } },
      data: { ...before.data, note: 'mine' },
    }
    const { resourceVersion } = api.objects.update(
      NAMESPACE,
      before.metadata.name,
      theirs,
      'kubectl',
    ).metadata
    expect(resourceVersion).not.toBe(first)
    const write = { state: document('a', 2), entries: entries(2, 2), trimThrough: 0 }
    await driver.write('a', { ...write, expected: resourceVersion })
    expect(objectOf('a').metadata.labels).toMatchObject({ team: 'radio' })
    expect(objectOf('a').data.note).toBe('mine')
    expect(await logOf('a')).toEqual([1, 2])
  })

  test('is written in one request, without a read before, by who read or wrote it last', async () => {
    const first = await create('a', 1)
    await driver.write('a', {
      state: document('a', 2),
      entries: entries(2, 2),
      expected: first,
      trimThrough: 0,
    })
    expect(api.requests.map(({ verb }) => verb)).toEqual(['create', 'patch'])
    const other = await openConfigMaps(api, { namespace: NAMESPACE })
    const found = await other.read('a')
    await other.write('a', {
      state: document('a', 3),
      entries: entries(3, 3),
      expected: found?.version,
      trimThrough: 0,
    })
    expect(api.requests.slice(2).map(({ verb }) => verb)).toEqual(['get', 'patch'])
    expect(await logOf('a')).toEqual([1, 2, 3])
  })

  test('whose log this process does not know is read before it is written', async () => {
    const forgetful = await openConfigMaps(api, { namespace: NAMESPACE })
    const first = await create('a', 1)
    await forgetful.write('a', {
      state: document('a', 2),
      entries: entries(2, 2),
      expected: first,
      trimThrough: 0,
    })
    expect(await logOf('a')).toEqual([1, 2])
  })

  test('of somebody else in the place of ours is neither read, changed nor removed', async () => {
    put(objectNameOf('a'), { data: { theirs: 'x' } })
    const before = objectOf('a')
    for (const call of [driver.read('a'), driver.remove('a')]) {
      const error = await failureOf(call)
      expect(error).toBeInstanceOf(StoreError)
      expect(error).toMatchObject({ retryable: false })
      expect(String(error)).toContain(objectNameOf('a'))
    }
    expect(await failureOf(create('a'))).toMatchObject({ code: 'conflict' })
    expect(objectOf('a')).toEqual(before)
  })

  test('of somebody else beside ours is in no list', async () => {
    put('kube-root-ca.crt', { data: { 'ca.crt': 'x' } })
    put('settings', { labels: { 'app.kubernetes.io/managed-by': 'ptp-watch' } })
    await create('a')
    expect((await driver.list({ limit: 10 })).nodes.map(({ state }) => state.node)).toEqual(['a'])
  })

  test('that was made anew while it was being removed is removed too', async () => {
    await create('a', 1)
    let meddled = false
    api.before(({ verb, namespace, name }) => {
      if (verb !== 'delete' || meddled) return
      meddled = true
      const { metadata, data } = api.objects.remove(namespace, name, {})
      api.objects.create(namespace, { metadata: { ...metadata, resourceVersion: undefined }, data }, 'other')
    })
    await driver.remove('a')
    expect(meddled).toBe(true)
    expect(await driver.read('a')).toBeUndefined()
  })

  test('of somebody else that takes the place of ours while that is being removed stays', async () => {
    await create('a', 1)
    api.before(({ verb, namespace, name }) => {
      if (verb !== 'delete') return
      api.before(() => {})
      api.objects.remove(namespace, name, {})
      put(name, { data: { theirs: 'x' } })
    })
    expect(await failureOf(driver.remove('a'))).toMatchObject({ code: 'store', retryable: false })
    expect(objectOf('a').data).toEqual({ theirs: 'x' })
  })

  test('with a damaged document names the node', async () => {
    await create('a', 1)
    const { metadata } = objectOf('a')
    api.objects.update(NAMESPACE, metadata.name, { metadata, data: { state: '{' } }, 'kubectl')
    const error = await failureOf(driver.read('a'))
    expect(error).toMatchObject({ code: 'store', retryable: false })
    expect(String(error)).toContain('node a')
    await create('b', 1)
    const { nodes } = await driver.list({ limit: 9 })
    expect(nodes.map(({ state }) => [state.node, state.damaged !== undefined])).toEqual([
      ['a', true],
      ['b', false],
    ])
  })
})

test('a line of the log that cannot be read hides no other, and the next write goes without it', async () => {
  await create('a', 3)
  const { metadata, data } = objectOf('a')
  const log = (data.log ?? '').replace('"seq":2', '"seq":')
  api.objects.update(NAMESPACE, metadata.name, { metadata, data: { ...data, log } }, 'kubectl')
  expect(await logOf('a')).toEqual([1, 3])
  const reopened = await openConfigMaps(api, { namespace: NAMESPACE })
  const expected = (await reopened.read('a'))?.version
  const write = { state: document('a', 4), entries: entries(4, 4), expected, trimThrough: 0 }
  await reopened.write('a', write)
  expect(await logOf('a')).toEqual([1, 3, 4])
})

describe('the size of a ConfigMap', () => {
  const SMALL = 8 * 1024
  const sizeOf = (node: string) =>
    Object.values(objectOf(node).data).reduce((sum, text) => sum + Buffer.byteLength(text), 0)

  async function openSmall() {
    const lines: string[] = []
    const log = createLog({ level: 'debug', now: () => 0, write: (line) => lines.push(line) })
    const kubernetes = { kubeconfig: api.kubeconfig }
    const small = await createConfigMapDriver(NAMESPACE, { log, kubernetes }, { ...PATIENT, maxBytes: SMALL })
    return { small, lines }
  }

  const writeTo = (small: Driver, state: NodeState, expected?: Version) =>
    small.write('a', { state, entries: entries(1, state.seq), expected, trimThrough: 0 })

  test('is kept by dropping the oldest entries, as many as it takes and no more', async () => {
    const { small, lines } = await openSmall()
    const { forwarded, ...state } = document('a', 100)
    await writeTo(small, state)
    const kept = numbers(await small.log('a', { after: 0, limit: 1000 }))
    expect(kept.length).toBeGreaterThan(20)
    expect(kept).toEqual(range(101 - kept.length, 100))
    expect(sizeOf('a')).toBeLessThanOrEqual(SMALL)
    expect(sizeOf('a')).toBeGreaterThan(SMALL - 200)
    expect(lines).toEqual([])
  })

  test('costs entries that the broker has not had only with an error in the log that counts them', async () => {
    const { small, lines } = await openSmall()
    await writeTo(small, { ...document('a', 100), forwarded: 30 })
    const [oldest = 0] = numbers(await small.log('a', { after: 0, limit: 1000 }))
    expect(oldest).toBeGreaterThan(31)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'error', node: 'a', dropped: oldest - 1 - 30 },
    ])
  })

  test('refuses a document that does not fit, for good, and changes nothing', async () => {
    const { small } = await openSmall()
    const version = await writeTo(small, document('a', 1))
    const before = objectOf('a')
    const big = { receivedAt: '2026-11-23T00:00:00.000Z', reason: 'big', body: 'é'.repeat(SMALL / 2) }
    const error = await failureOf(writeTo(small, { ...document('a', 1), quarantine: [big] }, version))
    expect(error).toBeInstanceOf(StoreError)
    expect(error).toMatchObject({ retryable: false })
    expect(String(error)).toMatch(/node a has \d+ bytes. a ConfigMap may hold 8192/)
    expect(objectOf('a')).toEqual(before)
  })
})

describe('what is empty', () => {
  const answerNext = (body: unknown) => api.refuseNext(1, { code: 200, body: JSON.stringify(body) })

  test('is an empty list where the API server writes null, and no list where there are no items', async () => {
    for (const metadata of [{}, null, { continue: null, resourceVersion: '7' }]) {
      answerNext({ metadata, items: null })
      expect(await driver.list({ limit: 10 })).toEqual({ nodes: [], next: undefined })
    }
    answerNext({ metadata: {} })
    expect(await failureOf(driver.list({ limit: 10 }))).toMatchObject({ code: 'store' })
  })

  test('is a document that went meanwhile where the documents asked for are null', async () => {
    await create('a')
    answerNext({ metadata: {}, items: [{ metadata: metadataOf('a') }] })
    api.objects.remove(NAMESPACE, objectNameOf('a'), {})
    expect(await driver.list({ limit: 10 })).toEqual({ nodes: [], next: undefined })
  })

  test('is no state where a ConfigMap of that name has null for its data', async () => {
    await create('a')
    answerNext({ metadata: { ...metadataOf('a'), annotations: null }, data: null })
    expect(String(await failureOf(driver.read('a')))).toContain('holds no PTP Watch state')
  })

  const metadataOf = (node: string) => objectOf(node).metadata
})

describe('a list', () => {
  const names = range(10, 34).map((number) => `node${number}`)

  test('is read on where the names are many, and begins anew where its continuation expired', async () => {
    for (const node of names) await create(node)
    api.limitPages(10)
    const list = async () => (await driver.list({ limit: 100 })).nodes.map(({ state }) => state.node)
    const continued = () => api.requests.filter(({ query }) => query.continue !== undefined)
    expect(await list()).toEqual(names)
    expect(continued()).toHaveLength(2)

    let expired = false
    api.before(async ({ verb, query }) => {
      if (expired || verb !== 'list' || !query.has('continue')) return
      expired = true
      // Whatever else happened in the meantime: the list is of the time when it began anew.
      await create('node00')
      await driver.remove('node12')
      api.objects.expireContinuations()
    })
    expect(await list()).toEqual(['node00', ...names.filter((node) => node !== 'node12')])
    expect(api.requests.filter(({ status }) => status === 410)).toHaveLength(1)
  })

  test('that expires again and again is an error which may pass', async () => {
    for (const node of names) await create(node)
    api.limitPages(10)
    api.before(({ query }) => void (query.has('continue') && api.objects.expireContinuations()))
    expect(await failureOf(driver.list({ limit: 100 }))).toMatchObject({ code: 'store', retryable: true })
  })

  test('leaves out a node that was removed after its name had been read', async () => {
    for (const node of ['a', 'b', 'c']) await create(node)
    // The first request is for names, the second for documents.
    api.before(({ query }) => {
      if (!(query.get('labelSelector') ?? '').includes(' in (')) return
      api.before(() => {})
      api.objects.remove(NAMESPACE, objectNameOf('b'), {})
    })
    const { nodes, next } = await driver.list({ limit: 10 })
    expect(nodes.map(({ state }) => state.node)).toEqual(['a', 'c'])
    expect(next).toBeUndefined()
  })

  test('asks for the data of its own page alone', async () => {
    for (const node of names) await create(node)
    api.requests.length = 0
    expect((await driver.list({ limit: 3, from: 'node20' })).next).toBe('node23')
    const [index, page, ...more] = api.requests
    expect(more).toEqual([])
    expect(index?.accept).toContain('as=PartialObjectMetadataList')
    expect(page?.query.labelSelector?.match(/[0-9a-f]{32}/g)).toHaveLength(3)
  })

  test('of many nodes asks for their documents in parts', async () => {
    for (const number of range(1000, 1119)) await create(`n${number}`)
    api.requests.length = 0
    expect((await driver.list({ limit: 200 })).nodes).toHaveLength(120)
    expect(api.requests).toHaveLength(4)
  })
})

test('a ping shows what the Role leaves out', async () => {
  await driver.ping()
  api.allowed.delete('list')
  expect(String(await failureOf(driver.ping()))).toMatch(/list configmaps in namespace ptp-watch.*403/)
})

test('an empty namespace in the URL is that of the context', async () => {
  const own = await openConfigMaps(api, { namespace: '' })
  await own.ping()
  expect(api.requests.at(-1)?.namespace).toBe('from-context')
})

test('a write whose answer was lost is found stored by the next one', async () => {
  const store = createStore(driver, { historyPerNode: 50, log: createLog({ level: 'silent', now: () => 0 }) })
  onTestFinished(() => store.close())
  const note = (name: string) =>
    store.update('a', (current) => ({
      state: current ?? document('a'),
      entries: [{ type: 'changed', to: name, via: 'push', overall: 'LOCKED' }],
      result: undefined,
    }))
  await note('first')
  api.loseNext(1)
  expect(await failureOf(note('second'))).toMatchObject({ code: 'store', retryable: true })
  await note('third')
  const log = await driver.log('a', { after: 0, limit: 10 })
  expect(log.map(({ to }) => to)).toEqual(['first', 'second', 'third'])
})

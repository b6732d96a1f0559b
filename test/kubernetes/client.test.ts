import { expect, test } from 'vitest'
import { StoreError } from '#shared/errors.ts'
import { create, failureOf, get, LIST, openClient, podOf, startApi } from './api.ts'

const OK = { status: 200 }

test('the service account of a pod is trusted and trusts the CA of its cluster', async () => {
  const api = await startApi()
  const client = await openClient(podOf(api))
  expect(await client.request(create('a'))).toMatchObject({ status: 201 })
  expect(await client.request(get('a'))).toMatchObject({ status: 200, body: { data: { a: '1' } } })
  expect(await client.request(get('b'))).toMatchObject({ status: 404, body: { reason: 'NotFound' } })
})

test('what is written is written in our name, always the same', async () => {
  const api = await startApi({ tls: false })
  const client = await openClient({ kubeconfig: api.kubeconfig })
  await client.request(create('a'))
  expect(api.objects.get('ns', 'a').metadata.managedFields).toEqual([{ manager: 'ptp-watch' }])
})

test('the token is read again after 3 s, not before', async () => {
  const api = await startApi()
  let now = 0
  const client = await openClient(podOf(api), { now: () => now })
  await client.request(LIST)
  await api.rotateToken('second')
  await api.rotateToken('first-token', { inFile: false })
  now = 2_999
  await client.request(LIST)
  now = 3_000
  await failureOf(client.request(LIST))
  expect(api.requests.map(({ token }) => token)).toEqual(['first-token', 'first-token', 'second'])
})

test('a 401 is asked once more with the token that the file has by now', async () => {
  const api = await startApi()
  const client = await openClient(podOf(api), { now: () => 0 })
  await client.request(LIST)
  await api.rotateToken('second')
  expect(await client.request(create('a'))).toMatchObject({ status: 201 })
  expect(api.requests.map(({ status, token }) => [status, token])).toEqual([
    [200, 'first-token'],
    [401, 'first-token'],
    [201, 'second'],
  ])
})

test('a 401 with a token that is still the newest is not asked again, and may pass', async () => {
  const api = await startApi()
  const client = await openClient(podOf(api), { now: () => 0 })
  await api.rotateToken('second', { inFile: false })
  const error = await failureOf(client.request(LIST))
  expect(error).toBeInstanceOf(StoreError)
  expect(error).toMatchObject({ retryable: true })
  expect(String(error)).toMatch(/list configmaps in namespace ns.*service account.*401/)
  expect(String(error)).not.toContain('first-token')
  expect(api.requests).toHaveLength(1)
})

test('a 401 twice, with two tokens, is an error and no loop', async () => {
  const api = await startApi()
  const client = await openClient(podOf(api), { now: () => 0 })
  await api.rotateToken('second')
  await api.rotateToken('third', { inFile: false })
  expect(await failureOf(client.request(LIST))).toMatchObject({ retryable: true })
  expect(api.requests.map(({ token }) => token)).toEqual(['first-token', 'second'])
})

test('what RBAC does not allow is said with verb, resource, namespace and account, and may pass', async () => {
  const api = await startApi()
  api.allowed.delete('list')
  const client = await openClient(podOf(api))
  const error = await failureOf(client.request(LIST))
  expect(error).toMatchObject({ code: 'store', retryable: true })
  expect(String(error)).toMatch(
    /list configmaps in namespace ns.*403.*system:serviceaccount:ptp-watch:ptp-watch/,
  )
})

test('a server that asks for a second is asked again after a second', async () => {
  const api = await startApi({ tls: false })
  const pauses: number[] = []
  const sleep = async (ms: number) => void pauses.push(ms)
  const client = await openClient({ kubeconfig: api.kubeconfig }, { sleep, budgetMs: 5_000 })
  api.refuseNext(1, { code: 429, headers: { 'retry-after': '1' }, body: 'Too many requests' })
  expect(await client.request(create('a'))).toMatchObject({ status: 201 })
  expect(api.requests.map(({ status }) => status)).toEqual([429, 201])
  expect(pauses).toHaveLength(1)
  expect(pauses[0]).toBeGreaterThan(0)
  expect(pauses[0]).toBeLessThanOrEqual(1000)
})

test('a server that asks for more than the budget is left alone, also by the next call', async () => {
  const api = await startApi({ tls: false })
  const client = await openClient({ kubeconfig: api.kubeconfig }, { budgetMs: 5_000 })
  api.refuseNext(1, { code: 429, headers: { 'retry-after': '25' }, body: 'Too many requests' })
  const error = await failureOf(client.request(LIST))
  expect(error).toMatchObject({ code: 'store', retryable: true })
  expect(String(error)).toMatch(/429: Too many requests/)
  const next = await failureOf(client.request(LIST))
  expect(next).toMatchObject({ code: 'store', retryable: true })
  expect(String(next)).toMatch(/pause; 2\d s left/)
  expect(api.requests).toHaveLength(1)
})

test.each([
  { code: 404, retryable: true },
  { code: 429, retryable: true },
  { code: 500, retryable: true },
  { code: 503, retryable: true },
  { code: 504, retryable: true },
  { code: 400, retryable: false },
  { code: 413, retryable: false },
  { code: 422, retryable: false },
])('the answer $code is asked no second time, and retryable: $retryable', async ({ code, retryable }) => {
  const api = await startApi({ tls: false })
  const client = await openClient({ kubeconfig: api.kubeconfig })
  api.refuseNext(1, { code, body: 'the words of the server' })
  const error = await failureOf(client.request(LIST))
  expect(error).toMatchObject({ code: 'store', retryable })
  expect(String(error)).toMatch(new RegExp(`list configmaps.*${code}.*the words of the server`))
  expect(api.requests).toHaveLength(1)
  expect(await client.request(LIST)).toMatchObject(OK)
})

test('a server that does not answer in time is unreachable, and asked again by the next call', async () => {
  const api = await startApi({ tls: false })
  const client = await openClient({ kubeconfig: api.kubeconfig })
  const { promise, resolve } = Promise.withResolvers<void>()
  api.before(() => promise)
  const error = await failureOf(client.request({ ...LIST, attemptMs: 30 }))
  expect(error).toMatchObject({ code: 'store', retryable: true })
  expect(String(error)).toContain(`${api.origin} is unreachable: it did not answer in time`)
  resolve()
  expect(await client.request(LIST)).toMatchObject(OK)
})

test('a server that is away is unreachable until it is back', async () => {
  const api = await startApi()
  const client = await openClient(podOf(api))
  await client.request(LIST)
  await api.away()
  expect(await failureOf(client.request(LIST))).toMatchObject({ code: 'store', retryable: true })
  await api.back()
  expect(await client.request(LIST)).toMatchObject(OK)
})

test('a read that was cut off is asked once more; a write is not, since it may have been done', async () => {
  const api = await startApi({ tls: false })
  const client = await openClient({ kubeconfig: api.kubeconfig })
  api.loseNext(1)
  expect(await client.request(LIST)).toMatchObject(OK)
  api.loseNext(1)
  expect(await failureOf(client.request(create('a')))).toMatchObject({ code: 'store', retryable: true })
  expect(api.requests.map(({ verb }) => verb)).toEqual(['list', 'list', 'create'])
  expect(await client.request(get('a'))).toMatchObject(OK)
})

test('a server with a certificate of another authority is not told the token', async () => {
  const [ours, other] = [await startApi(), await startApi({ authority: 'another' })]
  const client = await openClient({ ...podOf(ours), servicePort: other.port })
  const error = await failureOf(client.request(LIST))
  expect(error).toMatchObject({ code: 'store', retryable: true })
  expect(String(error)).toMatch(/certificate/)
  expect(other.requests).toEqual([])
})

test('a client that was closed refuses', async () => {
  const api = await startApi({ tls: false })
  const client = await openClient({ kubeconfig: api.kubeconfig })
  await client.close()
  expect(await failureOf(client.request(LIST))).toMatchObject({ code: 'store', retryable: false })
})

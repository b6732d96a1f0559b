import { beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import type { KubernetesApi } from '../support/kubernetes-api.ts'
import { startApi } from './api.ts'

// What a real API server (1.36) was measured to do: the stand-in of all other tests has to do the same.

const PATH = '/api/v1/namespaces/ns/configmaps'
const MERGE = 'application/merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'

/** Of what the API server answers, what the tests look at; the rest stays. */
const answered = z.looseObject({
  reason: z.optional(z.string()),
  metadata: z.looseObject({ resourceVersion: z.optional(z.string()), continue: z.optional(z.string()) }),
  items: z.nullish(z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) }))),
  data: z.optional(z.record(z.string(), z.string())),
})

let api: KubernetesApi
let first: string | undefined

beforeEach(async () => {
  api = await startApi({ tls: false })
  first = (await send('POST', '', { metadata: { name: 'a', labels: { app: 'x' } }, data: { k: '1' } }))
    .version
})

/** Status, reason and version of an answer, and its whole body. */
async function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(`${api.origin}${PATH}${path}`, {
    method,
    headers: { authorization: 'Bearer first-token', 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const json = answered.parse(await answer.json())
  return { status: answer.status, reason: json.reason, version: json.metadata.resourceVersion, json }
}

const patch = (type: string, body: unknown) => send('PATCH', '/a', body, { 'content-type': type })
const named = (metadata: object, data: object = { k: '2' }) => ({
  metadata: { name: 'a', ...metadata },
  data,
})
const list = (query: string) => send('GET', `?${query}`)
const namesOf = ({ json }: { json: z.infer<typeof answered> }) =>
  json.items?.map(({ metadata }) => metadata.name)

describe('the stand-in of the API server', () => {
  test('refuses a second object of the name, otherwise than a stale version', async () => {
    await send('PUT', '/a', named({}))
    expect(await send('POST', '', named({}))).toMatchObject({ status: 409, reason: 'AlreadyExists' })
    const stale = { metadata: { resourceVersion: first }, data: { k: '3' } }
    for (const refused of [
      await send('PUT', '/a', named({ resourceVersion: first })),
      await patch(MERGE, stale),
      await send('DELETE', '/a', { preconditions: { resourceVersion: first } }),
      await send('DELETE', '/a', { preconditions: { uid: 'another' } }),
    ]) {
      expect(refused).toMatchObject({ status: 409, reason: 'Conflict', json: { kind: 'Status', code: 409 } })
    }
    expect((await send('GET', '/a')).json.data).toEqual({ k: '2' })
  })

  test('lets a PUT and a patch without a version overwrite, whoever wrote last', async () => {
    const second = await send('PUT', '/a', named({}))
    const third = await patch(MERGE, { data: { k: '3', more: 'x' } })
    expect([second.status, third.status]).toEqual([200, 200])
    expect(Number(second.version)).toBeGreaterThan(Number(first))
    expect(Number(third.version)).toBeGreaterThan(Number(second.version))
    expect((await patch(MERGE, { data: { k: null } })).json.data).toEqual({ more: 'x' })
  })

  test('keeps the version of an object that a write does not change', async () => {
    expect((await patch(MERGE, { data: { k: '1' } })).version).toBe(first)
  })

  test('answers a JSON patch whose test fails with 422, also where it is about the version', async () => {
    const at = (path: string, value: string | undefined) => [
      { op: 'test', path, value },
      { op: 'replace', path: '/data/k', value: '2' },
    ]
    expect(await patch(JSON_PATCH, at('/data/k', '9'))).toMatchObject({ status: 422, reason: 'Invalid' })
    expect(await patch(JSON_PATCH, at('/metadata/resourceVersion', '0'))).toMatchObject({ status: 422 })
    expect((await patch(JSON_PATCH, at('/metadata/resourceVersion', first))).json.data).toEqual({ k: '2' })
  })

  test.each([
    ['data of more than 1 MiB', named({ name: 'b' }, { k: 'x'.repeat(1024 * 1024 + 1) })],
    ['a name with capitals', named({ name: 'B' })],
    ['a label that is too long', named({ name: 'b', labels: { app: 'x'.repeat(64) } })],
    ['a key with a slash', named({ name: 'b' }, { 'a/b': 'x' })],
    ['annotations of more than 256 KiB', named({ name: 'b', annotations: { a: 'x'.repeat(256 * 1024) } })],
  ])('refuses %s with 422', async (_, body) => {
    expect(await send('POST', '', body)).toMatchObject({ status: 422, reason: 'Invalid' })
  })

  test('takes data of 1 MiB', async () => {
    expect(await send('POST', '', named({ name: 'b' }, { k: 'x'.repeat(1024 * 1024) }))).toMatchObject({
      status: 201,
    })
  })

  test('neither patches, replaces nor removes what is not there', async () => {
    for (const [method, body] of [['PUT', named({ name: 'b' })], ['DELETE'], ['GET']] as const) {
      expect(await send(method, '/b', body)).toMatchObject({ status: 404, reason: 'NotFound' })
    }
    const headers = { 'content-type': MERGE }
    expect(await send('PATCH', '/b', { data: {} }, headers)).toMatchObject({ status: 404 })
  })

  test('selects by labels', async () => {
    await send('POST', '', named({ name: 'b', labels: { app: 'y' } }))
    await send('POST', '', named({ name: 'c' }))
    const selected = async (selector: string) =>
      namesOf(await list(`labelSelector=${encodeURIComponent(selector)}`))
    expect(await selected('')).toEqual(['a', 'b', 'c'])
    expect(await selected('app=x')).toEqual(['a'])
    expect(await selected('app!=x')).toEqual(['b', 'c'])
    expect(await selected('app in (x,y)')).toEqual(['a', 'b'])
    expect(await selected('app notin (x,y)')).toEqual(['c'])
    expect(await selected('app,app!=x')).toEqual(['b'])
    expect(await selected('!app')).toEqual(['c'])
  })

  test('goes on with a list as it was, and answers 410 once that is forgotten', async () => {
    for (const name of ['b', 'c', 'd']) await send('POST', '', named({ name }))
    const page = await list('limit=2')
    expect(namesOf(page)).toEqual(['a', 'b'])
    await send('DELETE', '/c')
    const rest = `limit=2&continue=${page.json.metadata.continue}`
    expect(namesOf(await list(rest))).toEqual(['c', 'd'])
    api.objects.expireContinuations()
    const expired = await list(rest)
    expect(expired).toMatchObject({ status: 410, reason: 'Expired' })
    // The answer offers the rest as it is now.
    expect(namesOf(await list(`limit=2&continue=${expired.json.metadata.continue}`))).toEqual(['d'])
    expect(await list('continue=x')).toMatchObject({ status: 400 })
  })

  test('knows a bad token (401) from nobody and from what is not allowed (403)', async () => {
    expect(await send('GET', '/a', undefined, { authorization: 'Bearer x' })).toMatchObject({ status: 401 })
    const anonymous = await fetch(`${api.origin}${PATH}`)
    expect(anonymous.status).toBe(403)
    api.allowed.delete('get')
    expect(await send('GET', '/a')).toMatchObject({ status: 403, reason: 'Forbidden' })
    const secrets = await fetch(`${api.origin}/api/v1/namespaces/ns/secrets`, {
      headers: { authorization: 'Bearer first-token' },
    })
    expect(secrets.status).toBe(403)
  })

  test('leaves the data out where the metadata alone is asked for', async () => {
    const accept = (kind: string) => ({ accept: `application/json;as=${kind};g=meta.k8s.io;v=v1` })
    const one = await send('GET', '/a', undefined, accept('PartialObjectMetadata'))
    expect(one.json).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'a' } })
    expect(one.json).not.toHaveProperty('data')
    const all = await send('GET', '', undefined, accept('PartialObjectMetadataList'))
    expect(namesOf(all)).toEqual(['a'])
    expect(all.json.items?.[0]).not.toHaveProperty('data')
  })

  test('has null for an empty list of metadata alone, and an empty one for any other', async () => {
    await send('DELETE', '/a')
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
    expect((await send('GET', '', undefined, { accept })).json).toMatchObject({ items: null })
    expect((await list('')).json).toMatchObject({ kind: 'ConfigMapList', items: [] })
    const services = await fetch(`${api.origin}/api/v1/namespaces/openshift-ptp/services`, {
      headers: { authorization: 'Bearer first-token' },
    })
    expect(await services.json()).toMatchObject({ kind: 'ServiceList', items: [] })
  })
})

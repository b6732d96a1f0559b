import { expect, test } from 'vitest'
import type { Call, KubernetesClient } from '#shared/kubernetes/client.ts'
import { failureOf, openClient, podOf, startApi } from './api.ts'

const STRATEGIC = 'application/strategic-merge-patch+json'
const MERGE = 'application/merge-patch+json'

const patchOf = (value: unknown, type = STRATEGIC): Call => ({
  verb: 'patch',
  resource: 'nodes',
  name: 'n1',
  subresource: 'status',
  body: value,
  bodyType: type,
})

const synchronized = (status: string) => ({
  type: 'ptp-watch.io/PTPSynchronized',
  status,
  lastHeartbeatTime: '2026-11-28T15:00:00.123Z',
})

async function cluster() {
  const api = await startApi()
  api.nodes.add('n1', { zone: 'a' }, [{ key: 'other', effect: 'NoSchedule' }])
  return { api, client: await openClient(podOf(api)) }
}

const statusOf = async (client: KubernetesClient, call: Call) => (await client.request(call)).status

test('a strategic merge patch of a status merges conditions by type and leaves the spec alone', async () => {
  const { api, client } = await cluster()
  await client.request(patchOf({ status: { conditions: [synchronized('False')] }, spec: { taints: [] } }))
  await client.request(patchOf({ status: { conditions: [synchronized('True')] } }))
  const { spec, status, metadata } = api.nodes.get('', 'n1')
  expect(status.conditions).toMatchObject([
    { type: 'Ready', status: 'True' },
    { type: 'ptp-watch.io/PTPSynchronized', status: 'True', lastHeartbeatTime: '2026-11-28T15:00:00Z' },
  ])
  expect(spec.taints).toEqual([{ key: 'other', effect: 'NoSchedule' }])
  expect(metadata.labels).toEqual({ zone: 'a' })
})

test('a merge patch of a status replaces all conditions', async () => {
  const { api, client } = await cluster()
  await client.request(patchOf({ status: { conditions: [synchronized('True')] } }, MERGE))
  expect(api.nodes.get('', 'n1').status.conditions.map(({ type }) => type)).toEqual([synchronized('').type])
})

test('a patch that names an old version is a conflict, and one of the spec leaves the status alone', async () => {
  const { api, client } = await cluster()
  const { resourceVersion } = api.nodes.get('', 'n1').metadata
  const taint = (key: string): Call => {
    const taints = [{ key, effect: 'NoSchedule' }]
    const { subresource: _, ...call } = patchOf(
      { metadata: { resourceVersion }, spec: { taints }, status: {} },
      MERGE,
    )
    return call
  }
  expect(await statusOf(client, taint('first'))).toBe(200)
  const second = await client.request({ ...taint('second'), expects: [409] })
  expect(second).toMatchObject({ status: 409, body: { reason: 'Conflict' } })
  expect(api.nodes.get('', 'n1')).toMatchObject({
    spec: { taints: [{ key: 'first' }] },
    status: { conditions: [{ type: 'Ready' }] },
  })
})

test('other patch types, unknown Nodes and what RBAC does not allow are refused in the words of the server', async () => {
  const { api, client } = await cluster()
  const odd = await failureOf(client.request(patchOf({}, 'application/json')))
  expect(String(odd)).toMatch(/patch nodes\/status n1: .* answered 415/)
  const gone = await client.request({ verb: 'get', resource: 'nodes', name: 'n2', expects: [404] })
  expect(gone).toMatchObject({ status: 404, body: { reason: 'NotFound' } })
  api.permitted.delete('patch nodes/status')
  const refused = await failureOf(client.request(patchOf({})))
  expect(refused).toMatchObject({ retryable: true })
  expect(String(refused)).toMatch(/403.*cannot patch resource "nodes\/status".*at the cluster scope/)
})

test('Nodes are listed by pages, whole or by their metadata', async () => {
  const { api, client } = await cluster()
  api.nodes.add('n2')
  const page = await client.request({ verb: 'list', resource: 'nodes', query: { limit: '1' } })
  expect(page.body).toMatchObject({ kind: 'NodeList', items: [{ metadata: { name: 'n1' }, status: {} }] })
  const partial = await client.request({ verb: 'list', resource: 'nodes', metadataOnly: true })
  expect(partial.body).toMatchObject({
    kind: 'PartialObjectMetadataList',
    items: [{ metadata: { name: 'n1', labels: { zone: 'a' } } }, { metadata: { name: 'n2' } }],
  })
})

test('an Event of a Node is in the namespace default, and there once', async () => {
  const { client } = await cluster()
  const create = (namespace: string): Call => ({
    verb: 'create',
    resource: 'events',
    namespace,
    expects: [409, 422],
    body: {
      metadata: { name: 'n1.x' },
      involvedObject: { kind: 'Node', name: 'n1' },
      type: 'Normal',
      reason: 'X',
      message: 'x',
    },
  })
  expect(await statusOf(client, create('ptp-watch'))).toBe(422)
  expect(await statusOf(client, create('default'))).toBe(201)
  expect(await client.request(create('default'))).toMatchObject({
    status: 409,
    body: { reason: 'AlreadyExists' },
  })
})

import { request } from 'undici'
import { beforeAll, expect, test } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { createCallback } from '#shared/callback.ts'
import { clocksIn } from '../e2e/support/publishers.ts'
import { eventually, listening, serve } from '../e2e/support/system.ts'
import { momentAfter, notification } from '../functions/ingest/notifications.ts'
import { startApi } from '../kubernetes/api.ts'
import { startConsumer } from '../publishers/support/consumer.ts'
import { start, MAIN } from '../runtime/processes.ts'
import type { KubernetesApi } from '../support/kubernetes-api.ts'
import type { Manifest } from './support/schemas.ts'
import { renderWith, verbsOf } from './support/render.ts'

// One function at a time over ConfigMaps, with the verbs that its service account has, in all that makes it use one.
let manifests: readonly Manifest[]
beforeAll(() => {
  manifests = renderWith('red-hat-v2', ['state-configmap'])
})

const SECRET = 'a secret of this test'
const GOOD = 'worker-0.example.com'
const OTHER = 'worker-1.example.com'

/** Allows a function what its manifests do. Gives the verbs that it has used since, and those that it may. */
function only(api: KubernetesApi, name: string) {
  const granted = verbsOf(manifests, `ptp-watch-${name}`, { resource: 'configmaps' })
  const earlier = api.requests.length
  api.allowed.clear()
  for (const verb of granted) api.allowed.add(verb)
  return () => {
    const requests = api.requests.slice(earlier)
    expect(requests.filter(({ status }) => status === 403)).toEqual([])
    return {
      used: [...new Set(requests.map(({ verb }) => verb))].toSorted(),
      granted: [...granted].toSorted(),
    }
  }
}

test('each function has the verbs on ConfigMaps that it uses, and no others', async () => {
  const api = await startApi()
  const publishers = await listening(
    createRedHatV1({ node: GOOD, release: '4.18', warmUpMs: 0 }),
    createRedHatV1({ node: OTHER, release: '4.18', warmUpMs: 0 }),
  )
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const [good, other] = publishers
  const listing = (...nodes: readonly [string, string][]) =>
    JSON.stringify(nodes.map(([node, url]) => ({ node, url, dialect: 'red-hat-v1' })))
  const consumer = await startConsumer()
  const env = {
    STATE_URL: 'configmap://ptp-watch',
    KUBECONFIG: api.kubeconfig,
    CALLBACK_SECRET: SECRET,
    CALLBACK_URL: consumer.url,
    PUBLISHERS: listing([GOOD, good.url]),
    LOG_LEVEL: 'error',
  }
  const run = async (args: readonly string[], own: Record<string, string> = {}) => {
    const running = start([MAIN, ...args], { ...env, ...own })
    return { code: await running.exit, err: running.err(), out: running.out() }
  }

  const asIngest = only(api, 'ingest')
  const ingest = await serve(['ingest'], { ...env, LOG_LEVEL: 'info' })
  const callback = createCallback({ url: ingest.url, secrets: [SECRET] })
  const ready = await request(`${ingest.url}/health/readiness`)
  expect([ready.statusCode, await ready.body.text()]).toEqual([200, expect.any(String)])
  for (const [ms, word] of [
    [0, 'LOCKED'],
    [1_000, 'HOLDOVER'],
  ] as const) {
    const answer = await request(callback.endpointFor(GOOD), {
      method: 'POST',
      body: JSON.stringify(notification({ node: GOOD, word, at: momentAfter(ms) })),
    })
    expect([answer.statusCode, await answer.body.text()]).toEqual([204, ''])
  }
  await ingest.stop()
  expect(asIngest()).toEqual({
    used: ['create', 'get', 'list', 'patch'],
    granted: ['create', 'get', 'list', 'patch'],
  })

  const all = ['create', 'delete', 'get', 'list', 'patch']
  const wrong = { PUBLISHERS: listing(['worker-0', good.url]) }
  const asSubscribe = only(api, 'subscribe')
  expect(await run(['subscribe'], wrong)).toMatchObject({ code: 1, err: expect.stringContaining(GOOD) })
  expect(await run(['subscribe'])).toMatchObject({ code: 0 })
  expect(asSubscribe()).toEqual({ used: all, granted: all })

  const asPoll = only(api, 'poll')
  expect(await run(['poll'], { PUBLISHERS: listing([GOOD, good.url], [OTHER, other.url]) })).toMatchObject({
    code: 0,
  })
  const shorter = { STALE_AFTER_SECONDS: '1', STATE_RETENTION_SECONDS: '1', LOG_LEVEL: 'warn' }
  await eventually(async () => {
    const polled = await run(['poll'], shorter)
    expect(polled).toMatchObject({ code: 0, err: expect.stringContaining('removed node that was gone') })
  })
  expect(asPoll()).toEqual({ used: all, granted: all })

  const asStatus = only(api, 'status')
  const status = await serve(['status', '--serve'], { ...env, LOG_LEVEL: 'info' })
  for (const path of [`/api/nodes/${GOOD}`, '/api/nodes', '/health/readiness']) {
    const answer = await request(`${status.url}${path}`)
    const body = await answer.body.text()
    expect([answer.statusCode, body]).toEqual([200, expect.not.stringContaining(OTHER)])
  }
  expect(asStatus()).toEqual({ used: ['get', 'list'], granted: ['get', 'list'] })
})

import { readFileSync } from 'node:fs'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { CONDITION_TYPES } from '#functions/condition/conditions.ts'
import { createCallback } from '#shared/callback.ts'
import { conditionOf, eventsOf, taintsOf } from '../functions/condition/world.ts'
import { notification } from '../functions/ingest/notifications.ts'
import { startRedis } from '../support/redis.ts'
import { startBroker } from './broker/broker.ts'
import { createFunctions } from './broker/functions.ts'
import { conditionTrigger } from './broker/trigger.ts'
import { createPingSource } from './ping-source.ts'
import { renderWith, verbsOf } from './support/render.ts'
import { SECRETS } from './support/secrets.ts'
import { kubernetesAround } from './support/stores.ts'

const manifests = renderWith('red-hat-v2', ['node-conditions', 'node-taint', 'state-redis'])
const secret = SECRETS['ptp-watch-callback/CALLBACK_SECRET'] ?? ''
const NODE = 'node1.example.com'

/** What the service account of condition may do, by its manifests. */
const RIGHTS = ['nodes', 'nodes/status', 'events'].flatMap((resource) =>
  [...verbsOf(manifests, 'ptp-watch-condition', { resource })].map((verb) => `${verb} ${resource}`),
)

test('the sample NodeReadinessRule asks for a condition that there is', () => {
  const file = new URL('../../knative/samples/node-readiness-rule.yaml', import.meta.url)
  const { spec } = parse(readFileSync(file, 'utf8'))
  expect(CONDITION_TYPES).toContain(spec.conditions[0].type)
  expect(spec).toMatchObject({ taint: { effect: 'NoSchedule' }, dryRun: true })
})

/** A Redis, a Broker with the Trigger, ingest, condition behind the Trigger, and the API server of their cluster. */
async function startCluster() {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const broker = await startBroker(manifests, {})
  onTestFinished(() => broker.close())
  const functions = createFunctions(manifests, {
    STATE_URL: `redis://127.0.0.1:${redis.port}`,
    K_SINK: broker.url,
  })
  functions.image.mount(functions.environment('ingest').PUBLISHERS ?? '', '[]')
  const { api, env } = await kubernetesAround(functions.image)
  api.permitted.clear()
  for (const right of RIGHTS) api.permitted.add(right)
  api.allowed.clear()
  for (const verb of ['get', 'patch'] as const) api.allowed.add(verb)
  api.objects.create('ptp-watch', { metadata: { name: 'ptp-watch-taints' } }, 'kubectl')
  api.nodes.add(NODE)
  const [ingest, condition] = await Promise.all([
    functions.start('ingest'),
    functions.start('condition', { ...env, K_SINK: '' }),
  ])
  broker.add(conditionTrigger(manifests, () => condition.url))
  const callback = createCallback({ url: ingest.url, secrets: [secret] })
  return {
    api,
    broker,
    tick: () => createPingSource(manifests, () => condition.url, 'condition').tick(),
    /** A notification of both clocks that decide. */
    async push(word: string) {
      for (const kind of ['lock-state', 'os-clock-sync-state'] as const) {
        const event = notification({ node: NODE, kind, word, at: new Date().toISOString() })
        const body = JSON.stringify(event)
        const answer = await request(callback.endpointFor(NODE), { method: 'POST', body })
        expect(answer.statusCode).toBe(204)
        await answer.body.dump()
      }
    },
  }
}

test('a notification becomes a condition and an Event of its Node by the Trigger; the PingSource adds heartbeat and taint', async () => {
  const { api, broker, push, tick } = await startCluster()
  for (const [word, status, reason] of [
    ['LOCKED', 'True', 'Locked'],
    ['HOLDOVER', 'False', 'Holdover'],
    ['FREERUN', 'False', 'Freerun'],
  ] as const) {
    await push(word)
    await expect.poll(() => conditionOf(api, NODE), { timeout: 30_000 }).toMatchObject({ status, reason })
  }
  await expect.poll(() => eventsOf(api, NODE)).toEqual({ PTPHoldover: 1, PTPFreerun: 1 })
  await broker.idle()
  expect(new Set(broker.attempts.map(({ answer }) => `${answer?.status} ${answer?.body}`))).toEqual(
    new Set(['202 ']),
  )
  expect(taintsOf(api, NODE)).toEqual([])

  expect(await tick()).toMatchObject({
    result: { kind: 'delivered' },
    attempts: [{ answer: { status: 202 } }],
  })
  expect(taintsOf(api, NODE)).toEqual(['ptp-watch.io/freerun:NoSchedule'])
  expect(api.requests.filter(({ status }) => status === 401 || status === 403)).toEqual([])
})

test('condition uses every right that its manifests give it', async () => {
  const { api, push, tick } = await startCluster()
  await push('FREERUN')
  await tick()
  await push('LOCKED')
  await push('FREERUN')
  await expect
    .poll(() => eventsOf(api, NODE), { timeout: 30_000 })
    .toEqual({ PTPFreerun: 2, PTPRecovered: 1 })
  const used = api.requests
    .filter(({ resource }) => resource !== 'configmaps')
    .map(({ verb, resource, subresource }) => `${verb} ${resource}${subresource && `/${subresource}`}`)
  expect([...new Set(used)].toSorted()).toEqual(RIGHTS.toSorted())
})

import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { clocksIn, redHatV2 } from './e2e/support/publishers.ts'
import { listening, serve } from './e2e/support/system.ts'
import { event, value } from './events/builders.ts'
import { temporaryFolder } from './functions/fleet.ts'

const SECRET = 'a secret of sufficient length'
/** Who may ask what, as docs/security.md has it: the status without CALLBACK_SECRET, and with it. */
const ROWS = [
  ['ingest', 'POST', '/event', 204, 403],
  ['ingest', 'POST', '/event/<node>', 204, 403],
  ['ingest', 'POST', '/event/<node>/<token>', 204, 204],
  ['ingest', 'POST', '/event/<node>/<token of another node>', 204, 403],
  ['ingest', 'POST', '/event/<node>/<token of the Broker>', 204, 403],
  ['ingest', 'POST', '/cloudevents', 202, 403],
  ['ingest', 'POST', '/cloudevents/<token of the Broker>', 202, 202],
  ['ingest', 'POST', '/cloudevents/<token>', 202, 403],
  ['ingest', 'GET', '/metrics', 200, 200],
  ['ingest', 'GET', '/health/readiness', 200, 200],
  ['poll', 'POST', '/tick', 202, 202],
  ['subscribe', 'POST', '/', 202, 202],
  ['status', 'GET', '/api/nodes', 200, 200],
  ['status', 'GET', '/api/nodes/<node>', 200, 200],
] as const

async function startAll(secret: string) {
  const [publisher] = await listening(redHatV2())
  publisher.setClock(...clocksIn('LOCKED'))
  const { node, url } = publisher
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const env = {
    STATE_URL: `sqlite:${folder.path}/state.db`,
    PUBLISHERS: JSON.stringify([{ node, url }]),
    CALLBACK_SECRET: secret,
  }
  const ingest = await serve(['ingest'], env)
  const others = { ...env, CALLBACK_URL: ingest.url }
  const [poll, subscribe, status] = await Promise.all(
    ['poll', 'subscribe', 'status'].map((name) => serve([name, '--serve'], others)),
  )
  return { node, urls: new Map(Object.entries({ ingest, poll, subscribe, status })) }
}

test.each([
  { name: 'without a secret', secret: '' },
  { name: 'with a secret', secret: SECRET },
])('$name every function answers whom docs/security.md says', async ({ secret }) => {
  const { node, urls } = await startAll(secret)
  const callback = createCallback({ url: '', secrets: [SECRET] })
  const tokenOf = (name: string) => callback.endpointFor(name).split('/').at(-1) ?? ''
  const filled = (path: string) =>
    path
      .replace('<node>', node)
      .replace('<token>', tokenOf(node))
      .replace('<token of another node>', tokenOf('another.example.com'))
      .replace('<token of the Broker>', callback.brokerToken ?? '')
  const source = '/sync/ptp-status/lock-state'
  const notification = event('lock-state', [value(`/cluster/node/${node}/ens5fx/master`, 'LOCKED')], {
    source,
  })

  const answers: [path: string, status: number][] = []
  for (const [name, method, path] of ROWS) {
    const { statusCode, body } = await request(`${urls.get(name)?.url}${filled(path)}`, {
      method,
      headers: { 'content-type': 'application/cloudevents+json' },
      ...(name === 'ingest' && method === 'POST' && { body: JSON.stringify(notification) }),
    })
    await body.dump()
    answers.push([`${name} ${path}`, statusCode])
  }
  expect(answers).toEqual(
    ROWS.map(([name, , path, open, secured]) => [`${name} ${path}`, secret === '' ? open : secured]),
  )
})

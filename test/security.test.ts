import { existsSync, readFileSync } from 'node:fs'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { clocksIn, redHatV2 } from './e2e/support/publishers.ts'
import { listening, serve } from './e2e/support/system.ts'
import { event, value } from './events/builders.ts'
import { temporaryFolder } from './functions/fleet.ts'

const SECRET = 'a secret of sufficient length'
const PAGE = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8')

/** The rows of the page's table of access. */
const ROWS = Array.from(
  PAGE.matchAll(/^\| (ingest|poll|subscribe|status) \| `(GET|POST) ([^`]+)` \| (\d{3}) \| (\d{3}) \|/gm),
  ([, name = '', method = '', path = '', open = '', secured = '']) => ({ name, method, path, open, secured }),
)

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
  { name: 'without a secret', secret: '', expected: 'open' },
  { name: 'with a secret', secret: SECRET, expected: 'secured' },
] as const)(
  '$name every function answers as the table of docs/security.md says',
  async ({ secret, expected }) => {
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

    const answers: [path: string, status: string][] = []
    for (const { name, method, path } of ROWS) {
      const { statusCode, body } = await request(`${urls.get(name)?.url}${filled(path)}`, {
        method: method === 'POST' ? 'POST' : 'GET',
        headers: { 'content-type': 'application/cloudevents+json' },
        ...(name === 'ingest' && method === 'POST' && { body: JSON.stringify(notification) }),
      })
      await body.dump()
      answers.push([`${name} ${path}`, String(statusCode)])
    }
    expect(answers).toEqual(ROWS.map((row) => [`${row.name} ${row.path}`, row[expected]]))
    expect(ROWS.length).toBeGreaterThanOrEqual(14)
  },
)

test('the tokens are compared in constant time, and nowhere but in one place', () => {
  const source = readFileSync(new URL('../shared/callback.ts', import.meta.url), 'utf8')
  expect(source).toContain('timingSafeEqual(given, expected)')
  const handler = readFileSync(new URL('../functions/ingest/handler.ts', import.meta.url), 'utf8')
  expect(handler).not.toMatch(/[tT]oken\)? ?[!=]==|[!=]== ?\(?[\w.]*[tT]oken/)
})

test.each([...new Set(PAGE.match(/(?<=`)(?:test|shared)\/[\w./-]+(?=`)/g))])(
  'docs/security.md names %s, which is there',
  (path) => expect(existsSync(new URL(`../${path}`, import.meta.url))).toBe(true),
)

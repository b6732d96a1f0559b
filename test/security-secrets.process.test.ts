import { MAIN } from './runtime/processes.ts'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { clocksIn, redHatV2, steady } from './e2e/support/publishers.ts'
import { eventually, listening, type Service, startSystem } from './e2e/support/system.ts'
import { temporaryFolder } from './functions/fleet.ts'
import { startApi } from './kubernetes/api.ts'
import { start } from './runtime/processes.ts'
import { startRedis } from './support/redis.ts'
import { startSink } from './support/sink.ts'

/** No process has a reason to say this of its own accord. */
const MARK = 'Marked7Secret'
const secretOf = (what: string) => `${MARK}-${what}-of-sufficient-length`

const FUNCTIONS = ['ingest', 'subscribe', 'poll', 'status', 'doctor'] as const

async function textOf(url: string, method: 'GET' | 'POST' = 'GET', body = ''): Promise<string> {
  const reply = await request(url, { method, ...(method === 'POST' && { body }) })
  return `${reply.statusCode} ${JSON.stringify(reply.headers)} ${await reply.body.text()}`
}

test('a system at work, and one whose store, sink and publishers fail, says none of its secrets', async () => {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const fileOf = async (what: string) => {
    const path = join(folder.path, what)
    await writeFile(path, `${secretOf(what)}\n`)
    return path
  }
  const redis = await startRedis({ config: [`user ptp on >${secretOf('redis')} ~* &* +@all`] })
  onTestFinished(() => redis.close())
  const sink = await startSink({ path: `/default?key=${secretOf('sink')}` })
  onTestFinished(() => sink.close())
  const [publisher] = await listening(redHatV2())
  publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem([publisher], {
    STATE_URL: `redis://ptp:${secretOf('redis')}@127.0.0.1:${redis.port}`,
    CALLBACK_SECRET: secretOf('callback'),
    PUBLISHER_TOKEN_FILE: await fileOf('publisher'),
    K_SINK: sink.url,
    SINK_TOKEN_FILE: await fileOf('token'),
  })
  const { ingest, poll } = system
  const said: string[] = []
  const hear = async (services: readonly Service[]) => {
    for (const { url, running } of services) {
      said.push(running.out(), running.err(), await textOf(`${url}/metrics`))
    }
  }

  // At work.
  await steady(system, publisher)
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
  await publisher.idle()
  await sink.until(({ arrivals }) => arrivals.some(({ event }) => event.data.to === 'HOLDOVER'))
  // The secrets were of use: the store and the callback took them, the sink was shown them.
  expect(sink.arrivals[0]?.headers.authorization).toBe(`Bearer ${secretOf('token')}`)
  const [{ endpoint = '' } = {}] = publisher.subscriptions()
  const token = endpoint.split('/').at(-1) ?? ''
  expect(
    createCallback({ url: ingest.url, secrets: [secretOf('callback')] }).endpointFor(publisher.node),
  ).toBe(endpoint)
  for (const { body } of sink.arrivals) said.push(body)
  for (const args of [
    ['subscribe'],
    ['subscribe', '--dry-run'],
    ['poll'],
    ['status'],
    ['status', '--json'],
    ['doctor'],
    ['doctor', '--json'],
  ]) {
    const { out, err } = await system.run(args)
    said.push(out, err)
  }
  for (const name of FUNCTIONS) said.push((await system.run([name, '--help'])).out)
  said.push(await textOf(`${ingest.url}/event/${publisher.node}/${token}x`, 'POST', '{}'))
  said.push(await textOf(`${ingest.url}/event/${publisher.node}/${token}`, 'POST', 'no JSON'))
  said.push(await textOf(`${ingest.url}/event/${publisher.node}/${token}/more?${token}`, 'POST'))

  // Failing.
  sink.answer(401)
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  await publisher.idle()
  await ingest.running.until(/sink failed: events wait/)
  await sink.down()
  await publisher.faults({ refuse: true })
  said.push((await system.run(['subscribe'], { SUBSCRIBE_DEADLINE_SECONDS: '1' })).err)
  await system.tick().catch((error: unknown) => said.push(String(error)))
  await redis.cli(['ACL', 'SETUSER', 'ptp', 'resetpass', '>another'])
  await redis.cli(['CLIENT', 'KILL', 'USER', 'ptp'])
  await eventually(async () => {
    publisher.setClock({ kind: 'clock-class', clockClass: 248 }, { kind: 'clock-class', clockClass: 6 })
    expect(await textOf(`${ingest.url}/health/readiness`)).toContain('"store":"down"')
  })
  for (const name of FUNCTIONS.slice(1)) {
    const { code, out, err } = await system.run([name], { SUBSCRIBE_DEADLINE_SECONDS: '1' })
    expect(code, name).toBeGreaterThan(0)
    said.push(out, err)
  }
  await redis.stop()
  await hear([ingest, poll])
  await Promise.all([ingest, poll].map((service) => service.stop()))
  said.push(ingest.running.err(), poll.running.err())

  expect(said.filter((text) => text.includes(MARK)).map(around(MARK))).toEqual([])
  expect(said.filter((text) => text.includes(token)).map(around(token))).toEqual([])
  expect(said.join('\n')).toContain('rejects the user name or password')
  // Some thirty processes, one after the other.
})

test('a function that the API server refuses, or does not let do its work, does not say its token', async () => {
  const api = await startApi()
  const env = { STATE_URL: 'configmap://ptp-watch', KUBECONFIG: api.kubeconfig, LOG_LEVEL: 'debug' }
  const status = async () => {
    const running = start([MAIN, 'status'], env)
    const code = await running.exit
    return { code, said: running.out() + running.err() }
  }
  await api.rotateToken(secretOf('api'))
  const working = await status()
  api.allowed.clear()
  const forbidden = await status()
  await api.rotateToken('another', { inFile: false })
  const refused = await status()
  expect([working.code, forbidden.code, refused.code]).toEqual([0, 1, 1])
  expect(forbidden.said).toContain('403')
  expect(refused.said).toContain('401')
  for (const { said } of [working, forbidden, refused]) expect(said).not.toContain(MARK)
})

const around = (what: string) => (text: string) =>
  text.slice(Math.max(0, text.indexOf(what) - 200)).slice(0, 300)

const node = 'node1.example.com'
const targets = (more: object) => JSON.stringify([{ node, url: 'http://127.0.0.1:9', ...more }])

test.concurrent.each<[string, string]>([
  ['CALLBACK_SECRET', 'Marked7Secret'],
  ['CALLBACK_SECRET', 'Marked7Secret-one,Marked7Secret-two,Marked7Secret-three'],
  ['CALLBACK_URL', 'http://user:Marked7Secret@host'],
  ['CALLBACK_URL', 'host/event?Marked7Secret'],
  ['STATE_URL', 'redis://ptp:Marked7Secret@host:port'],
  ['STATE_URL', 'redis://ptp:Marked7Secret@host/0/1'],
  ['STATE_URL', 'redis://ptp:Marked7Secret@127.0.0.1:9'],
  ['STATE_URL', 'postgres://ptp:Marked7Secret@host'],
  ['K_SINK', 'http://user:Marked7Secret@host/default'],
  ['K_SINK', 'http//user:Marked7Secret@host/default'],
  ['K_SINK', 'http://host/default?key=Marked7Secret#x'],
  ['K_CA_CERTS', '-----BEGIN PRIVATE KEY-----\nMarked7Secret\n-----END PRIVATE KEY-----'],
  ['PUBLISHERS', targets({ url: 'ftp://user:Marked7Secret@host' })],
  ['PUBLISHERS', targets({ url: 'http://user:Marked7Secret@host' })],
  ['PUBLISHERS', targets({ transport: 'http://user:Marked7Secret@host' })],
  ['PUBLISHERS', targets({ token: 'Marked7Secret' })],
  ['PUBLISHERS', `[{"url":"http://user:Marked7Secret@host"`],
])('what is wrong with %s is said without what it holds: %s', async (variable, value) => {
  const env = {
    PUBLISHERS: targets({}),
    CALLBACK_URL: 'http://127.0.0.1:9',
    STATE_URL: 'memory:',
    [variable]: value,
  }
  const running = start([MAIN, 'subscribe', '--dry-run'], {
    ...env,
    SUBSCRIBE_DEADLINE_SECONDS: '1',
  })
  expect(await running.exit).toBeGreaterThan(0)
  const said = running.out() + running.err()
  expect(said).not.toContain(MARK)
  expect(said).not.toBe('')
})

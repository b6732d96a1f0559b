import { createServer } from 'node:http'
import { unlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { eventOf } from '#shared/broker/event.ts'
import { createSink, type SinkOptions } from '#shared/broker/sink.ts'
import { silentLog } from '#shared/log.ts'
import { temporaryFolder } from '../functions/fleet.ts'
import { createAuthority } from '../publishers/support/certificates.ts'
import { listen } from '../publishers/support/listen.ts'
import { openSink } from './world.ts'

const EVENT = eventOf('node1.example.com', 'i', {
  seq: 1,
  type: 'changed',
  kind: 'lock-state',
  instance: 'ens5fx/master',
  to: 'FREERUN',
  at: '2026-11-23T03:48:28.489302008Z',
  via: 'push',
  overall: 'FREERUN',
})

function sender(url: string, options: Partial<SinkOptions> = {}) {
  const sink = createSink({
    url,
    overrides: {},
    ca: undefined,
    tokenFile: '/none',
    log: silentLog,
    clock: { now: () => Date.parse('2026-11-23T04:00:00Z') },
    ...options,
  })
  onTestFinished(() => sink.close())
  return { send: (signal = new AbortController().signal) => sink.send(EVENT, signal) }
}

test('an event is posted in structured mode, whole', async () => {
  const broker = await openSink()
  expect(await sender(broker.url).send()).toEqual({ outcome: 'accepted' })
  const [arrival] = broker.arrivals
  expect(arrival?.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8')
  expect(arrival?.headers.authorization).toBeUndefined()
  expect(JSON.parse(arrival?.body ?? '')).toEqual(EVENT)
})

test.each([
  ...[200, 202, 204].map((status) => [status, 'accepted'] as const),
  ...[400, 402, 405, 406, 410, 413, 414, 415, 422, 431, 451].map((status) => [status, 'rejected'] as const),
  ...[301, 307, 401, 403, 404, 407, 408, 409, 425, 429].map((status) => [status, 'failed'] as const),
  ...[500, 501, 502, 503, 504].map((status) => [status, 'failed'] as const),
])('an event that is answered %i is %s', async (status, outcome) => {
  const broker = await openSink()
  broker.answer({ status, headers: { location: broker.url } })
  expect(await sender(broker.url).send()).toMatchObject({ outcome })
  // A redirection is not followed: it would go where nobody configured it to go.
  expect(broker.arrivals).toHaveLength(1)
})

test.each([
  ['7', 7_000],
  ['0', 0],
  ['86400', 60_000],
  ['Mon, 23 Nov 2026 04:00:30 GMT', 30_000],
  ['Mon, 23 Nov 2026 03:00:00 GMT', 0],
  ['soon', undefined],
])('a sink that asks to be left alone for %j is, for %s ms', async (header, afterMs) => {
  const broker = await openSink()
  broker.answer({ status: 429, headers: { 'retry-after': header } })
  const sent = await sender(broker.url).send()
  expect(sent.outcome === 'failed' ? sent.afterMs : 'accepted').toBe(afterMs)
})

test('extensions of the overrides take the place of ours, and are added to them', async () => {
  const broker = await openSink()
  await sender(broker.url, { overrides: { site: 'north', partitionkey: 'all' } }).send()
  expect(broker.taken()[0]).toEqual({ ...EVENT, site: 'north', partitionkey: 'all' })
})

describe('where no answer comes', () => {
  test('a refused connection is a failure', async () => {
    const broker = await openSink()
    await broker.down()
    expect(await sender(broker.url).send()).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('a sink that takes too long is given up', async () => {
    const broker = await openSink()
    broker.answer('hang')
    expect(await sender(broker.url, { timeoutMs: 50 }).send()).toMatchObject({ outcome: 'failed' })
  })

  test('a try is given up when the process ends', async () => {
    const broker = await openSink()
    broker.answer('hang')
    const ended = new AbortController()
    const sent = sender(broker.url).send(ended.signal)
    await broker.until(({ arrivals }) => arrivals.length === 1)
    ended.abort(new Error('The process ends'))
    expect(await sent).toMatchObject({ outcome: 'failed' })
  })

  test('an answer without end is judged by its status', async () => {
    const endless = createServer((request, response) => {
      request.resume()
      response.writeHead(400)
      const more = () => {
        if (!response.destroyed) response.write('no! '.repeat(10_000), more)
      }
      more()
    })
    const sent = await sender(`${await listen(endless)}/`).send()
    expect(sent.outcome).toBe('rejected')
    expect(sent.outcome === 'rejected' ? sent.reason.length : 0).toBeLessThan(300)
  })

  test.each([
    [202, 'accepted'],
    [400, 'rejected'],
  ])('an answer of %i whose body does not come in time is %s', async (status, outcome) => {
    const silent = createServer((request, response) => {
      request.resume()
      response.writeHead(status, { 'content-length': '100' })
      response.write('half')
    })
    const sent = await sender(`${await listen(silent)}/`, { timeoutMs: 500 }).send()
    expect(sent.outcome).toBe(outcome)
  })

  test('an answer that breaks off is judged by its status', async () => {
    const broken = createServer((request, response) => {
      request.resume()
      response.writeHead(202, { 'content-length': '100' })
      response.write('half', () => response.destroy())
    })
    expect(await sender(`${await listen(broken)}/`).send()).toEqual({ outcome: 'accepted' })
  })
})

describe('the token', () => {
  const withFile = (token?: string) => {
    const folder = temporaryFolder()
    onTestFinished(() => folder.remove())
    const path = `${folder.path}/token`
    if (token !== undefined) writeFileSync(path, token)
    return path
  }

  test('is sent where there is one, without its line break', async () => {
    const broker = await openSink()
    await sender(broker.url, { tokenFile: withFile('first\n') }).send()
    expect(broker.arrivals[0]?.headers.authorization).toBe('Bearer first')
  })

  test('is not sent where there is no file', async () => {
    const broker = await openSink()
    expect(await sender(broker.url, { tokenFile: withFile() }).send()).toEqual({ outcome: 'accepted' })
    expect(broker.arrivals[0]?.headers).not.toHaveProperty('authorization')
  })

  test('is read again, once, when the sink says 401', async () => {
    const broker = await openSink()
    broker.answer((_, { authorization }) => (authorization === 'Bearer second' ? 202 : 401))
    const path = withFile('first')
    const { send } = sender(broker.url, { tokenFile: path })
    expect(await send()).toMatchObject({ outcome: 'failed' })
    writeFileSync(path, 'second')
    expect(await send()).toEqual({ outcome: 'accepted' })
    expect(broker.arrivals.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer first',
      'Bearer first',
      'Bearer second',
    ])
  })

  test('is read again after a while, and is none when its file is gone', async () => {
    const broker = await openSink()
    let now = 0
    const path = withFile('first')
    const { send } = sender(broker.url, { tokenFile: path, clock: { now: () => now } })
    await send()
    writeFileSync(path, 'second')
    await send()
    now = 60_000
    await send()
    unlinkSync(path)
    now = 120_000
    await send()
    expect(broker.arrivals.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer first',
      'Bearer first',
      'Bearer second',
      undefined,
    ])
  })

  test('is never in what is said of a failure', async () => {
    const broker = await openSink()
    broker.answer(403)
    const tokenFile = withFile('secret-token')
    expect(JSON.stringify(await sender(broker.url, { tokenFile }).send())).not.toContain('secret')
    await broker.down()
    expect(JSON.stringify(await sender(broker.url, { tokenFile }).send())).not.toContain('secret')
    await broker.up()
    const sent = await sender(broker.url, { tokenFile: withFile('secret\ntoken') }).send()
    expect(sent.outcome).toBe('failed')
    expect(JSON.stringify(sent)).not.toContain('secret')
  })
})

test('the authorities of K_CA_CERTS are trusted, and without them the sink is not', async () => {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const authority = await createAuthority(folder.path, 'ca')
  const broker = await openSink({ tls: await authority.issue('sink') })
  expect(await sender(broker.url).send()).toMatchObject({ outcome: 'failed' })
  expect(await sender(broker.url, { ca: authority.cert }).send()).toEqual({ outcome: 'accepted' })
})

test('as many events are under way at once as there are connections', async () => {
  const slow = await openSink()
  slow.answer('hang')
  const { send } = sender(slow.url)
  const all = Array.from({ length: 32 }, () => send())
  await slow.until(({ arrivals }) => arrivals.length === 32)
  slow.release()
  for (const sent of await Promise.all(all)) expect(sent).toEqual({ outcome: 'accepted' })
})

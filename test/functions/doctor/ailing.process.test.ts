import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createRedHatV1, createRedHatV2 } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening, startSystem } from '../../e2e/support/system.ts'
import { createAuthority } from '../../publishers/support/certificates.ts'
import { folder } from '../../publishers/support/folder.ts'
import { listen } from '../../publishers/support/listen.ts'
import { entriesOf, examine, startPublishers, startWatched } from './world.ts'

test('of each publisher that cannot be spoken to it says what was found and how to fix it, and asks it no more', async () => {
  const path = await folder()
  const [trusted, other] = [await createAuthority(path, 'trusted'), await createAuthority(path, 'other')]
  await writeFile(join(path, 'ca.pem'), trusted.cert)
  const secure = await listen(
    createTlsServer(await other.issue('server'), (_, response) => response.end('OK')),
    { scheme: 'https' },
  )
  const elsewhere = await listen(createServer((_, response) => response.writeHead(404).end()))
  const failing = await listen(createServer((_, response) => response.writeHead(503).end('no upstream')))
  const closed = createRedHatV2({ node: 'closed', release: 'main' })
  const [well, misnamed, transport] = await listening(
    createRedHatV2({ node: 'worker-0', release: 'main', warmUpMs: 0 }),
    createRedHatV2({ node: 'worker-1.site-a.example.com', release: 'main', warmUpMs: 0 }),
    createRedHatV1({ node: 'worker-2', release: '4.14', warmUpMs: 0 }),
    closed,
  )
  const refused = closed.url
  await closed.close()
  well.setClock(...clocksIn('FREERUN'))
  const entries = [
    { node: 'worker-0', url: well.url },
    {
      node: 'unresolved',
      url: 'http://ptp-event-publisher-service-unresolved.openshift-ptp.svc.invalid:9043',
    },
    { node: 'refused', url: refused },
    { node: 'untrusted', url: secure },
    { node: 'elsewhere', url: elsewhere },
    { node: 'failing', url: failing },
    { node: 'worker-1', url: misnamed.url },
    { node: 'worker-2', url: transport.transport ?? '' },
  ]
  const system = await startWatched([well], {
    PUBLISHERS: JSON.stringify(entries),
    PUBLISHER_CA_FILE: join(path, 'ca.pem'),
  })
  const { code, one, of, findings } = await examine(system)
  expect(code).toBe(1)
  const failed = (node: string) => {
    const [first, ...more] = findings.filter((each) => each.node === node && each.status === 'failed')
    expect(more).toEqual([])
    return [first?.check, first?.result, first?.fix]
  }
  expect(failed('unresolved')).toEqual([
    'dns',
    expect.stringMatching(/ does not resolve: /),
    expect.stringContaining('kubectl -n openshift-ptp get service ptp-event-publisher-service-unresolved'),
  ])
  expect(failed('refused')).toEqual([
    'health',
    expect.stringContaining('ECONNREFUSED'),
    expect.stringMatching(/^Nothing listens there/),
  ])
  expect(failed('untrusted')).toEqual([
    'health',
    expect.stringMatching(/certificate/),
    expect.stringContaining('add that authority to PUBLISHER_CA_FILE'),
  ])
  expect(failed('elsewhere')).toEqual([
    'health',
    expect.stringContaining('speaks no known dialect'),
    expect.stringContaining('is the API of a publisher'),
  ])
  expect(failed('failing')).toEqual([
    'health',
    expect.stringContaining('answered 503: no upstream'),
    expect.stringContaining('failing'),
  ])
  expect(failed('worker-1')).toEqual([
    'addresses',
    'it publishes for node worker-1.site-a.example.com',
    expect.stringMatching(/^Set `node` to worker-1\.site-a\.example\.com in PUBLISHERS/),
  ])
  expect(failed('worker-2')).toEqual([
    'health',
    expect.stringContaining('is the transport port of a v1 publisher or sidecar'),
    expect.any(String),
  ])
  expect(failed('worker-0')).toEqual([undefined, undefined, undefined])
  const skipped = of('subscriptions', { node: 'refused' })
  expect(skipped).toMatchObject([{ status: 'skipped', result: 'not checked: fix the failure above first' }])
  expect(one('callback', { node: 'worker-0' }).status).toBe('ok')

  const shown = await system.run(['doctor', '--quiet'], { LOG_LEVEL: 'warn' })
  expect(shown.out).toMatch(
    /^ {2}FAILED {3}health {10}GET http:\S+ got no answer: .*ECONNREFUSED.* → Nothing listens there/m,
  )
  expect(shown.out).toMatch(/1 of 8 publishers deliver events: 7 failures, .*\nFailed: unresolved, refused, /)
})

test('a v1 node under another name is told by what CurrentState names', async () => {
  const [, v1] = await startPublishers()
  const [entry] = entriesOf([v1])
  const system = await startWatched([v1], { PUBLISHERS: JSON.stringify([{ ...entry, node: 'worker-9' }]) })
  const { code, one } = await examine(system)
  expect(code).toBe(1)
  expect(one('addresses', { node: 'worker-9' })).toMatchObject({
    status: 'failed',
    result: `CurrentState names node ${v1.node}`,
  })
  expect(one('callback', { node: 'worker-9' }).status).toBe('skipped')
})

test('a resource that answers 404 is to be looked at, and nothing known of any clock is a failure', async () => {
  const publishers = await startPublishers()
  const [v2] = publishers
  const system = await startWatched(publishers)
  await v2.faults({ currentState: { 'clock-class': 404 } })
  const first = await examine(system, {}, ['--node', v2.node])
  expect(first.code).toBe(0)
  const [warning] = first.of('current-state', v2).filter(({ status }) => status === 'warning')
  expect(warning?.result).toBe('clock-class: it answered 404')

  await v2.faults({ currentState: { all: 404 } })
  const second = await examine(system, {}, ['--node', v2.node])
  expect(second.code).toBe(1)
  const failed = second.of('current-state', v2).filter(({ status }) => status === 'failed')
  expect(failed.map(({ result }) => result.split(':')[0])).toEqual(['lock-state', 'os-clock-sync-state'])
})

test('a publisher that is starting is said to be, though its health is OK', async () => {
  const [starting] = await listening(
    createRedHatV2({ node: 'worker-0', release: 'main', warmUpMs: 3_600_000 }),
  )
  const system = await startSystem([starting])
  const { code, one } = await examine(system)
  expect(code).toBe(1)
  expect(one('health', starting).status).toBe('ok')
  expect(one('addresses', starting)).toMatchObject({ status: 'failed', result: 'it publishes nothing yet' })
})

import { expect, onTestFinished, test } from 'vitest'
import { createRedHatV1, createRedHatV2, createStarlingX, type Publisher } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening, SECRET } from '../../e2e/support/system.ts'
import { startSink } from '../../support/sink.ts'
import { examine, startPublishers, startWatched } from './world.ts'

const heldBy = (publishers: readonly Publisher[]) =>
  publishers.map((publisher) => [...publisher.subscriptions()].sort((a, b) => (a.id < b.id ? -1 : 1)))

test('where all is well it says so of every dialect, exits with 0, and leaves everything as it was', async () => {
  const sink = await startSink()
  onTestFinished(() => sink.close())
  const publishers = await startPublishers({ state: 'LOCKED' })
  const [v2, v1, starlingX] = publishers
  const system = await startWatched(publishers, { K_SINK: sink.url })
  v2.setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 40 })
  await v2.idle()
  const before = heldBy(publishers)

  const { code, findings, one, of, err } = await examine(system)
  expect(findings.filter(({ status }) => status === 'failed' || status === 'warning')).toEqual([])
  expect(code).toBe(0)
  expect(findings.every(({ status, fix }) => status !== 'ok' || fix === '')).toBe(true)
  expect(heldBy(publishers)).toEqual(before)
  for (const publisher of publishers) {
    expect((await system.node(publisher)).subscriptions).toHaveLength(publisher.subscriptions().length)
  }

  expect(one('publishers').result).toBe('3 publishers in PUBLISHERS')
  expect(one('ingest')).toMatchObject({ status: 'ok', result: 'it answers at CALLBACK_URL with 204' })
  expect(one('sink').status).toBe('ok')
  expect(one('addresses', v2).result).toBe(`7 resources of ${v2.node}`)
  expect(one('subscriptions', v2).result).toBe('7 of 7 subscriptions present')
  for (const publisher of [v2, starlingX]) {
    expect(one('callback', publisher).result).toMatch(
      /initial notification and got 204; the store had it after [\d.]+ m?s$/,
    )
  }
  expect(one('callback', v1).result).toMatch(/^the sidecar tried our endpoint and got 204\./)
  const states = of('current-state', v2).filter(({ status }) => status === 'ok')
  expect(states.map(({ result }) => result)).toContain('lock-state: ens5fx/master HOLDOVER, offset 40')
  expect(one('clock', v2).result).toMatch(/^it agrees with ours/)
  expect(one('events', v2).result).toMatch(/^the newest event arrived [\d.]+ m?s ago/)
  expect(one('state', v2).result).toMatch(/^overall HOLDOVER, 4 clocks, polled [\d.]+ m?s ago$/)

  // What it shows people.
  const shown = await system.run(['doctor', '--node', `${v2.node},${v1.node}`], { LOG_LEVEL: 'warn' })
  expect(shown.code).toBe(0)
  expect(shown.out).toContain(`\n${v2.node}\n  ok       dns             IP address, no lookup needed\n`)
  expect(shown.out).toContain('  ok       current-state   lock-state: ens5fx/master HOLDOVER, offset 40\n')
  expect(shown.out).not.toContain(starlingX.node)
  expect(shown.out).toMatch(
    /\nAll 2 publishers deliver events: 0 failures, 0 warnings\nClock states, see ptp-watch status: \d [A-Z]+.*\n$/,
  )
  const quiet = await system.run(['doctor', '--quiet', '--node', v1.node], { LOG_LEVEL: 'warn' })
  expect(quiet.out).toMatch(
    /^1 of 1 publishers deliver events: .*\nClock states, see ptp-watch status: .*\n$/,
  )

  // An EndpointUri is a credential.
  const token = new URL(v2.subscriptions()[0]?.endpoint ?? '').pathname.split('/').at(-1) ?? ''
  expect(token).toHaveLength(32)
  for (const said of [JSON.stringify(findings), err, shown.out, shown.err]) {
    expect(said).not.toContain(token)
    expect(said).not.toContain(SECRET)
  }
})

test('it tells the generations of publishers apart by what they answer', async () => {
  const usual = { warmUpMs: 0 }
  const publishers = await listening(
    createRedHatV2({ ...usual, node: 'main.example.com', release: 'main' }),
    createRedHatV2({ ...usual, node: 'later.example.com', release: '4.18' }),
    createRedHatV1({ ...usual, node: 'early.example.com', release: '4.14' }),
    createRedHatV1({ ...usual, node: 'last.example.com', release: '4.18' }),
    createStarlingX({ ...usual, node: 'controller-1', notificationFormat: 'legacy', utcOffsetMinutes: 120 }),
  )
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startWatched(publishers)
  const { code, one } = await examine(system)
  const spoken = publishers.map((publisher) => one('dialect', publisher).result.split(';')[0])
  expect(spoken).toEqual([
    'red-hat-v2, 4.20 or later',
    'red-hat-v2, 4.17 to 4.19, without SyncE subscriptions',
    'red-hat-v1, 4.10 to 4.15',
    'red-hat-v1, 4.16 to 4.18',
    'starlingx-v2, legacy notification format',
  ])
  const [, later, , , legacy] = publishers
  expect(one('subscriptions', later)).toMatchObject({
    status: 'ok',
    result: '5 of 7 subscriptions present (synce-lock-state synce-clock-quality: not supported before 4.20)',
  })
  // Its SyncE events say that it is two hours later; the server's Date does not.
  expect(one('clock', legacy)).toMatchObject({ status: 'ok', result: expect.stringContaining('2.0 h ahead') })
  expect(code).toBe(0)
})

import { expect, test } from 'vitest'
import {
  type ClockChange,
  createLinuxptpDaemon,
  createRedHatV1,
  createRedHatV2,
  createStarlingX,
  type Publisher,
} from '#local/publishers/index.ts'
import { forEach } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { shownOf, truthOf } from './support/truth.ts'
import { clockOf, entriesOf, page } from './support/view.ts'

const redHat: readonly ClockChange[] = [
  { kind: 'gnss-sync-status', instance: 'ens5fx/master', state: 'SYNCHRONIZED', offset: 3, gpsFix: 3 },
  { kind: 'lock-state', state: 'LOCKED', offset: -2 },
  { kind: 'os-clock-sync-state', state: 'LOCKED', offset: 5 },
  { kind: 'clock-class', clockClass: 6 },
]
const synce: readonly ClockChange[] = [
  { kind: 'synce-lock-state', state: 'LOCKED' },
  { kind: 'synce-clock-quality', ql: 1, extQl: 32 },
]
const starlingX: readonly ClockChange[] = [
  { kind: 'gnss-sync-status', state: 'SYNCHRONIZED' },
  { kind: 'lock-state', state: 'LOCKED' },
  { kind: 'os-clock-sync-state', state: 'LOCKED' },
  { kind: 'clock-class', clockClass: 6 },
]

type Dialect = {
  readonly name: string
  readonly publisher: () => Publisher
  readonly clocks: readonly ClockChange[]
  /** Kinds that it lets be subscribed to. */
  readonly kinds: readonly string[]
}

const usual = ['clock-class', 'gnss-sync-status', 'lock-state', 'os-clock-sync-state', 'sync-state']
const all = [...usual, 'synce-clock-quality', 'synce-lock-state']

const dialects: readonly Dialect[] = [
  {
    name: 'v2 of today',
    publisher: () => createRedHatV2({ node: 'v2-main.example.com', release: 'main', warmUpMs: 300 }),
    clocks: [...redHat, ...synce],
    kinds: all,
  },
  {
    name: 'v2 of 4.18',
    publisher: () => createRedHatV2({ node: 'v2-418.example.com', release: '4.18', warmUpMs: 300 }),
    clocks: redHat,
    kinds: usual,
  },
  {
    name: 'linuxptp-daemon',
    publisher: () => createLinuxptpDaemon({ node: 'daemon.example.com', warmUpMs: 300 }),
    clocks: [...redHat, ...synce],
    kinds: all,
  },
  {
    name: 'v1 of 4.14',
    publisher: () => createRedHatV1({ node: 'v1-414.example.com', release: '4.14', warmUpMs: 0 }),
    clocks: redHat,
    kinds: usual,
  },
  {
    name: 'v1 of 4.18',
    publisher: () => createRedHatV1({ node: 'v1-418.example.com', release: '4.18', warmUpMs: 0 }),
    clocks: redHat,
    kinds: usual,
  },
  {
    name: 'StarlingX',
    publisher: () => createStarlingX({ node: 'controller-0', warmUpMs: 0 }),
    clocks: starlingX,
    kinds: all,
  },
  {
    name: 'StarlingX, legacy format',
    publisher: () => createStarlingX({ node: 'controller-1', warmUpMs: 0, notificationFormat: 'legacy' }),
    clocks: starlingX,
    kinds: all,
  },
]

/** The time that the publisher put on its newest event of that content. */
function timeOfPush(publisher: Publisher, word: string): string {
  const body = publisher.deliveries.findLast(
    (call) => call.cause === 'event' && call.body?.includes('lock-state') && call.body.includes(word),
  )?.body
  const time = /"time":"([^"]+)"/.exec(body ?? '')?.[1]
  if (time === undefined) throw new Error(`No event of lock-state ${word} was pushed`)
  // StarlingX leaves out the dot.
  return time.replace(/^(.{19})(\d{6})Z$/, '$1.$2Z')
}

test('every dialect comes from nothing to the true state of every clock', async () => {
  const publishers = dialects.map(({ publisher }) => publisher())
  await listening(...publishers)
  const dialectOf = (publisher: Publisher) => {
    const found = dialects[publishers.indexOf(publisher)]
    if (found === undefined) throw new Error('It is none of these')
    return found
  }
  for (const publisher of publishers) publisher.setClock(...dialectOf(publisher).clocks)
  const system = await startSystem(publishers)

  const subscribed = await system.run(['subscribe'])
  expect(subscribed, subscribed.err).toMatchObject({ code: 0 })
  const held = new Map(publishers.map((publisher) => [publisher, publisher.subscriptions()]))
  await forEach(publishers, async (publisher) => {
    const ours = held.get(publisher) ?? []
    const { subscriptions } = await system.node(publisher)
    expect(subscriptions.map(({ kind }) => kind).toSorted()).toEqual(dialectOf(publisher).kinds)
    expect(subscriptions.map(({ id, address }) => `${id} ${address}`).toSorted()).toEqual(
      ours.map(({ id, resource }) => `${id} ${resource}`).toSorted(),
    )
    expect(ours.every(({ endpoint }) => endpoint.startsWith(`${system.ingest.url}/event/`))).toBe(true)
  })

  await system.tick()
  await forEach(publishers, async (publisher) => {
    const steady = await system.node(publisher)
    expect(shownOf(steady)).toEqual(truthOf(publisher))
    expect(steady).toMatchObject({
      overall: 'LOCKED',
      stale: false,
      publisher: { url: publisher.url, dialect: publisher.dialect, reachable: true },
    })
    const dialect = dialectOf(publisher)
    publisher.setClock({ ...lockOf(dialect), state: 'HOLDOVER' }, { ...classOf(dialect), clockClass: 7 })
    await publisher.idle()
    const pushed = await eventually(async () => {
      const now = await system.node(publisher)
      expect(clockOf(now, 'lock-state').state).toBe('HOLDOVER')
      return now
    })
    const at = timeOfPush(publisher, 'HOLDOVER')
    expect(pushed.overall).toBe('HOLDOVER')
    expect(clockOf(pushed, 'lock-state')).toMatchObject({
      since: at,
      via: 'push',
      contested: false,
      stale: false,
    })
    expect(entriesOf(pushed, 'changed', 'lock-state').at(-1)).toMatchObject({
      from: 'LOCKED',
      to: 'HOLDOVER',
      at,
      via: 'push',
    })
  })

  await eventually(async () => {
    await system.tick()
    await forEach(publishers, async (publisher) =>
      expect(shownOf(await system.node(publisher))).toEqual(truthOf(publisher)),
    )
  })
  await system.tick()
  await forEach(publishers, async (publisher) => {
    const proven = await system.node(publisher)
    expect(proven.counters).toMatchObject({ missed: 0, quarantined: 0, clockSteps: 0 })
    expect(clockOf(proven, 'lock-state').since).toBe(timeOfPush(publisher, 'HOLDOVER'))
    expect(entriesOf(proven, 'missed')).toEqual([])
    expect(entriesOf(proven, 'restored')).toEqual([])
    expect(publisher.subscriptions()).toEqual(held.get(publisher))
  })

  const printed = await system.run(['status', '--json'])
  expect(printed.code).toBe(0)
  const { nodes } = page.parse(JSON.parse(printed.out))
  expect(nodes).toHaveLength(publishers.length)
  for (const node of nodes) expect(node).toEqual(await system.node(node))
  expect(await system.nodes()).toEqual(nodes.map((node) => ({ ...node, log: undefined })))
})

function lockOf({ clocks }: Dialect): ClockChange {
  return clocks.find(({ kind }) => kind === 'lock-state') ?? { kind: 'lock-state' }
}

function classOf({ clocks }: Dialect): ClockChange {
  return clocks.find(({ kind }) => kind === 'clock-class') ?? { kind: 'clock-class' }
}

import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createFleet } from '#functions/status/fleet.ts'
import { createScrape } from '#functions/status/metrics/scrape.ts'
import { StoreError } from '#shared/errors.ts'
import { silentLog } from '#shared/log.ts'
import { errorReply, type HttpHeaders } from '#shared/runtime/reply.ts'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { mergePush } from '#shared/state/merge/push.ts'
import type { Store } from '#shared/state/store/store.ts'
import { isoTime } from '#shared/time.ts'
import { defaultShown, clockAt, lockedNode, openStore, put } from '../../fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')
const SECONDS = NOW / 1000

/** The scrape of a fleet over a memory store; each lets enough time pass that the store is looked at again. */
async function scraped(...states: readonly NodeState[]) {
  const store = await openStore('memory:')
  onTestFinished(() => store.close())
  for (const state of states) await put(store, state)
  const time = { now: NOW }
  const store_ = { failure: undefined as StoreError | undefined, hangs: false, looks: 0 }
  const clock = { now: () => time.now }
  const made = () => {
    const fleet = createFleet(
      {
        store: {
          read: (node) => store.read(node),
          versions() {
            store_.looks += 1
            if (store_.hangs) return new Promise(() => {})
            return store_.failure === undefined ? store.versions() : Promise.reject(store_.failure)
          },
        },
        clock,
        settings: defaultShown,
        log: silentLog,
        shownStore: 'memory:',
      },
      'test',
    )
    return { fleet, scrape: createScrape({ fleet, clock }) }
  }
  let { fleet, scrape } = made()
  const ask = async (headers: HttpHeaders = {}) => {
    const request = { method: 'GET', path: '/metrics', query: '', headers, body: new Uint8Array() }
    const reply = await scrape({ ...request, signal: new AbortController().signal }, 'process_up 1\n')
    const parts: Buffer[] = []
    for await (const part of reply.stream ?? []) parts.push(Buffer.from(part))
    return { ...reply, bytes: Buffer.concat(parts) }
  }
  /** The series with this in them, by name and labels. */
  const series = async (part = '') => {
    const ends = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    fleet.follow(resolve, ends.signal)
    await promise
    ends.abort()
    const lines = String((await ask()).bytes).split('\n')
    const found = lines.filter((line) => line !== '' && !line.startsWith('#') && line.includes(part))
    return Object.fromEntries(
      found.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
    )
  }
  return {
    store,
    time,
    reach: store_,
    ask,
    series,
    restart: () => ({ fleet, scrape } = made()),
  }
}

const polled = { url: 'http://p', dialect: 'red-hat-v2', reachable: true, checkedAt: isoTime(NOW - 30_000) }

test('a node that is LOCKED has its series, in the labels of the contract', async () => {
  const { series } = await scraped({
    ...lockedNode('a', NOW, { labels: { site: 'north', region: 'eu', rack: '7' }, publisher: polled }),
  })
  const of = 'node="a",site="north",region="eu"'
  expect(await series()).toEqual({
    process_up: 1,
    ptp_watch_store_up: 1,
    'ptp_watch_fleet_nodes{state="FREERUN"}': 0,
    'ptp_watch_fleet_nodes{state="HOLDOVER"}': 0,
    'ptp_watch_fleet_nodes{state="UNKNOWN"}': 0,
    'ptp_watch_fleet_nodes{state="LOCKED"}': 1,
    ptp_watch_fleet_gone_nodes: 0,
    [`ptp_watch_node_state{${of},state="FREERUN"}`]: 0,
    [`ptp_watch_node_state{${of},state="HOLDOVER"}`]: 0,
    [`ptp_watch_node_state{${of},state="UNKNOWN"}`]: 0,
    [`ptp_watch_node_state{${of},state="LOCKED"}`]: 1,
    [`ptp_watch_node_state_since_timestamp_seconds{${of}}`]: SECONDS,
    [`ptp_watch_node_stale{${of}}`]: 0,
    [`ptp_watch_node_suspect{${of}}`]: 0,
    [`ptp_watch_publisher_up{${of}}`]: 1,
    [`ptp_watch_poll_last_success_timestamp_seconds{${of}}`]: SECONDS - 30,
    [`ptp_watch_missed_total{${of}}`]: 0,
    [`ptp_watch_transitions_total{${of}}`]: 0,
    [`ptp_watch_state_seconds_total{${of},state="FREERUN"}`]: 0,
    [`ptp_watch_state_seconds_total{${of},state="HOLDOVER"}`]: 0,
    [`ptp_watch_state_seconds_total{${of},state="UNKNOWN"}`]: 0,
    [`ptp_watch_state_seconds_total{${of},state="LOCKED"}`]: 0,
  })
})

test('clocks have their class, and the state of their receiver', async () => {
  const clocks = [
    clockAt(NOW, 'clock-class', 'ens1/master', { state: null, metrics: { clockClass: '248' } }),
    clockAt(NOW, 'clock-class', 'ens2/master', { state: null, metrics: { clockClass: '6' } }),
    clockAt(NOW, 'clock-class', 'ens3/master', { state: null, metrics: {} }),
    clockAt(NOW, 'clock-class', 'ens4/master', { state: null, metrics: { clockClass: '7' }, retired: true }),
    clockAt(NOW, 'gnss-sync-status', 'ens1', { state: 'SYNCHRONIZED' }),
    clockAt(NOW, 'gnss-sync-status', 'ens2', { state: 'FAILURE-NOFIX' }),
  ]
  const { series } = await scraped({ ...emptyNodeState('a', 'i'), clocks })
  const of = 'node="a",site="",region=""'
  expect(await series('clock="')).toEqual({
    [`ptp_watch_clock_class{${of},clock="ens1/master"}`]: 248,
    [`ptp_watch_clock_class{${of},clock="ens2/master"}`]: 6,
    [`ptp_watch_gnss_state{${of},clock="ens1",state="SYNCHRONIZED"}`]: 1,
    [`ptp_watch_gnss_state{${of},clock="ens2",state="SYNCHRONIZED"}`]: 0,
    [`ptp_watch_gnss_state{${of},clock="ens2",state="FAILURE-NOFIX"}`]: 1,
    [`ptp_watch_node_cause_info{${of},clock="",kind="lock-state"}`]: 1,
  })
})

test('the cause of a state is the clock that decides', async () => {
  const node = lockedNode('a', NOW)
  const clocks = [...node.clocks, clockAt(NOW, 'lock-state', 'ens9', { state: 'FREERUN' })]
  const { series } = await scraped({ ...node, clocks }, lockedNode('b', NOW))
  expect(await series('cause')).toEqual({
    'ptp_watch_node_cause_info{node="a",site="",region="",clock="ens9",kind="lock-state"}': 1,
  })
})

test('a publisher that is not reached keeps the time when it was', async () => {
  const publisher = { ...polled, reachable: false, reachedAt: isoTime(NOW - 90_000) }
  const { series } = await scraped(lockedNode('a', NOW, { publisher }))
  expect(await series('ptp_watch_p')).toEqual({
    'ptp_watch_publisher_up{node="a",site="",region=""}': 0,
    'ptp_watch_poll_last_success_timestamp_seconds{node="a",site="",region=""}': SECONDS - 90,
  })
})

describe('the holdover', () => {
  const inHoldover = (node: string, labels: Record<string, string>, ...classes: readonly string[]) =>
    lockedNode(node, NOW, {
      labels,
      clocks: [
        clockAt(NOW, 'lock-state', 'ens1', { state: 'HOLDOVER', since: isoTime(NOW - 60_000) }),
        clockAt(NOW, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
        ...classes.map((clockClass) =>
          clockAt(NOW, 'clock-class', 'ens1', { state: null, metrics: { clockClass } }),
        ),
      ],
    })

  test('is counted down, past the end of the budget too', async () => {
    const { time, series } = await scraped(
      inHoldover('a', { 'holdover-budget-seconds': '100' }),
      lockedNode('b', NOW),
    )
    const of = 'node="a",site="",region=""'
    expect(await series('holdover')).toEqual({
      [`ptp_watch_holdover_remaining_seconds{${of}}`]: 40,
      [`ptp_watch_holdover_in_specification{${of}}`]: 1,
    })
    time.now = NOW + 50_000
    expect(await series('holdover')).toEqual({
      [`ptp_watch_holdover_remaining_seconds{${of}}`]: -10,
      [`ptp_watch_holdover_in_specification{${of}}`]: 0,
    })
  })

  test('is over once a clock class says out of specification, and goes on by the budget while one says within', async () => {
    const { time, series } = await scraped(inHoldover('out', {}, '7', '165'), inHoldover('within', {}, '135'))
    time.now = NOW + 10_000
    expect(await series('holdover')).toEqual({
      'ptp_watch_holdover_remaining_seconds{node="out",site="",region=""}': 0,
      'ptp_watch_holdover_in_specification{node="out",site="",region=""}': 0,
      'ptp_watch_holdover_remaining_seconds{node="within",site="",region=""}': 14_400 - 70,
      'ptp_watch_holdover_in_specification{node="within",site="",region=""}': 1,
    })
  })
})

describe('series end with the node', () => {
  test('that is forgotten', async () => {
    const { store, series } = await scraped(lockedNode('a', NOW), lockedNode('b', NOW))
    expect(Object.keys(await series('node="a"'))).not.toEqual([])
    await store.remove('a')
    expect(await series('node="a"')).toEqual({})
    expect(Object.keys(await series('node="b"'))).not.toEqual([])
  })

  test('that is gone, once it is silent; it is counted', async () => {
    const publisher = { ...polled, reachable: false, goneSince: isoTime(NOW) }
    const freerun = clockAt(NOW, 'lock-state', 'ens1', { state: 'FREERUN' })
    const { time, series } = await scraped(
      lockedNode('gone', NOW, { publisher, clocks: [freerun] }),
      lockedNode('here', NOW + 180_000),
    )
    expect(await series('state="FREERUN"} 1')).toMatchObject({
      'ptp_watch_node_state{node="gone",site="",region="",state="FREERUN"}': 1,
    })
    time.now = NOW + defaultSettings.staleAfterMs
    expect(await series('node="gone"')).toEqual({})
    expect(await series('ptp_watch_fleet')).toEqual({
      'ptp_watch_fleet_nodes{state="FREERUN"}': 0,
      'ptp_watch_fleet_nodes{state="HOLDOVER"}': 0,
      'ptp_watch_fleet_nodes{state="UNKNOWN"}': 0,
      'ptp_watch_fleet_nodes{state="LOCKED"}': 1,
      ptp_watch_fleet_gone_nodes: 1,
    })
  })
})

describe('while the store is away', () => {
  test('no node has a series, since nobody knows what has happened to it', async () => {
    const { reach, series } = await scraped(lockedNode('a', NOW))
    reach.failure = new StoreError('Redis is unreachable')
    expect(await series()).toEqual({ process_up: 1, ptp_watch_store_up: 0 })
    reach.failure = undefined
    expect(await series('LOCKED"}')).toMatchObject({ 'ptp_watch_fleet_nodes{state="LOCKED"}': 1 })
  })

  test('and does not answer, the scrape ends within its time', async () => {
    const { reach, ask } = await scraped(lockedNode('a', NOW))
    reach.hangs = true
    const { bytes } = await ask({ 'x-prometheus-scrape-timeout-seconds': '0.1' })
    expect(String(bytes)).toContain('\nptp_watch_store_up 0\n')
    expect(String(bytes)).not.toContain('node=')
  })
})

test('many scrapes at once look at the store once', async () => {
  const { reach, ask } = await scraped(lockedNode('a', NOW))
  await Promise.all(Array.from({ length: 20 }, () => ask()))
  await ask()
  expect(reach.looks).toBe(1)
})

describe('the seconds in each state', () => {
  const counting = (word: string, spent: NodeState['spent']) =>
    lockedNode('a', NOW, {
      spent,
      clocks: [
        clockAt(NOW, 'lock-state', 'ens1', { state: word }),
        clockAt(NOW, 'os-clock-sync-state', 'CLOCK_REALTIME', {}),
      ],
    })
  const pushed = (store: Store, state: string, now: number) =>
    store.update('a', (current) => {
      const [at, kind, instance] = [isoTime(now), 'lock-state', 'ens1']
      const reading = {
        node: 'a',
        kind,
        instance,
        state,
        metrics: {},
        at,
        receivedAt: at,
        via: 'push',
      } as const
      return {
        ...mergePush(current ?? emptyNodeState('a', 'i'), [reading], defaultSettings, now),
        result: undefined,
      }
    })
  const zero = { FREERUN: 0, HOLDOVER: 0, UNKNOWN: 0, LOCKED: 0 }

  test('are those of the document, and grow when it is written', async () => {
    const { store, time, series } = await scraped(
      counting('LOCKED', { ...zero, FREERUN: 12_345, LOCKED: 100_900, until: isoTime(NOW) }),
    )
    // FREERUN, HOLDOVER, UNKNOWN, LOCKED
    const seconds = async () => Object.values(await series('ptp_watch_state_seconds_total'))
    expect(await seconds()).toEqual([12, 0, 0, 100])
    time.now = NOW + 285_000
    await pushed(store, 'LOCKED', time.now)
    expect(await seconds()).toEqual([12, 0, 105, 280])
  })

  test('never fall, whatever clock is set back and whenever this process starts again', async () => {
    const steps = fc.array(
      fc.record({
        /** Milliseconds that pass before it, or by which our clock is set back. */
        after: fc.integer({ min: -600_000, max: 400_000 }),
        word: fc.constantFrom('LOCKED', 'HOLDOVER', 'FREERUN'),
        does: fc.constantFrom('push', 'look', 'restart'),
        /** By how much the clock of the host that writes is off. */
        skew: fc.integer({ min: -2_000, max: 2_000 }),
      }),
      { maxLength: 20 },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { store, time, series, restart } = await scraped(counting('LOCKED', undefined))
        let before: Record<string, number> = {}
        for (const { after, word, does, skew } of all) {
          time.now += after
          if (does === 'push') await pushed(store, word, time.now + skew)
          if (does === 'restart') restart()
          const shown = await series('ptp_watch_state_seconds_total')
          expect(Object.keys(shown)).toHaveLength(4)
          for (const [name, seconds] of Object.entries(shown))
            expect(seconds).toBeGreaterThanOrEqual(before[name] ?? 0)
          before = shown
        }
      }),
      { numRuns: 50 },
    )
  })

  test('do not fall where the store has lost its newest writes', async () => {
    const lost = counting('FREERUN', { ...zero, FREERUN: 50_000, until: isoTime(NOW) })
    const { store, series } = await scraped(lost)
    await put(store, { ...lost, spent: { ...zero, FREERUN: 60_000, until: isoTime(NOW) } })
    expect(Object.values(await series('seconds_total'))).toEqual([60, 0, 0, 0])
    await put(store, lost)
    expect(Object.values(await series('seconds_total'))).toEqual([60, 0, 0, 0])
  })

  test('begin again with a document that was recreated', async () => {
    const { store, series } = await scraped(
      counting('FREERUN', { ...zero, FREERUN: 50_000, until: isoTime(NOW) }),
    )
    expect(Object.values(await series('seconds_total'))).toEqual([50, 0, 0, 0])
    await store.remove('a')
    await put(store, { ...counting('FREERUN', undefined), incarnation: 'another' })
    expect(Object.values(await series('seconds_total'))).toEqual([0, 0, 0, 0])
  })
})

test('where the page asks for a token, so does the scrape', async () => {
  const fleet = { current: () => Promise.reject(new Error('it was looked at')) }
  const gate = async () => errorReply(401, 'unauthorized', 'A token is needed')
  const scrape = createScrape({ fleet, clock: { now: () => NOW }, gate })
  const request = { method: 'GET', path: '/metrics', query: '', headers: {}, body: new Uint8Array() }
  expect((await scrape({ ...request, signal: new AbortController().signal }, '')).status).toBe(401)
})

import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Case, check, failures, type Series, STEP } from './support/promtool.ts'
import { scaledRules, shippedRules } from './support/rules.ts'
import { stringify } from 'yaml'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '../state/drivers/temporary-folder.ts'

const STATES = ['LOCKED', 'HOLDOVER', 'FREERUN', 'UNKNOWN'] as const
type State = (typeof STATES)[number]
/** Seconds in a state; `gone`: no series any more. */
type Phase = readonly [State | 'gone', number]

const pods = ['status-1', 'status-2']
const times = (seconds: number, value: string, step = STEP) =>
  Array<string>(Math.ceil(seconds / step)).fill(value)
const lineBy =
  (step: number) =>
  (...parts: readonly (readonly [number, string])[]) =>
    parts.flatMap(([seconds, value]) => times(seconds, value, step)).join(' ')
const line = lineBy(STEP)
/** For cases of hours, which promtool takes a minute for by {@link STEP}. */
const MINUTE = 60
const minutely = lineBy(MINUTE)

/** A series as both pods of a rollout have it. */
const both = (metric: string, labels: string, values: string): Series =>
  Object.fromEntries(pods.map((pod) => [`${metric}{pod="${pod}",${labels}}`, values]))

/** The states of a node over time. */
function node(name: string, phases: readonly Phase[], site = ''): Series {
  const labels = `node="${name}",site="${site}",region=""`
  const ofState = (state: State) =>
    line(
      ...phases.map(
        ([each, seconds]) => [seconds, each === 'gone' ? 'stale' : each === state ? '1' : '0'] as const,
      ),
    )
  return Object.assign(
    {},
    ...STATES.map((state) => both('ptp_watch_node_state', `${labels},state="${state}"`, ofState(state))),
  )
}

const ofNode = (metric: string, values: string, more = '') =>
  both(metric, `node="a",site="",region=""${more}`, values)

const HOUR = 3600
const healthyFor = (seconds: number, step = STEP): Series => ({
  ...both('ptp_watch_store_up', 'job="status"', lineBy(step)([seconds, '1'])),
  ...both('ptp_watch_poll_last_success_timestamp_seconds', 'node="z",site=""', `0+${step}x${seconds / step}`),
})
const healthy = healthyFor(HOUR)

const site = (name: string, phases: readonly Phase[], count: number, of: string): Series =>
  Object.assign({}, ...Array.from({ length: count }, (_, i) => node(`${name}${i}`, phases, of)))
const nodesOf = (alert: string, name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${alert} ${name}${i}`)

/** A counter that grows by one every `seconds`, and the state that stands since its last step. */
function changing(seconds: number, count: number, then: number): Series {
  const counter: string[] = []
  const since: string[] = []
  for (let i = 0; i < count; i += 1) {
    counter.push(...times(seconds, String(i)))
    since.push(...times(seconds, String(i * seconds)))
  }
  counter.push(...times(then, String(count)))
  since.push(...times(then, String(count * seconds)))
  return {
    ...ofNode('ptp_watch_transitions_total', counter.join(' ')),
    ...ofNode('ptp_watch_node_state_since_timestamp_seconds', since.join(' ')),
  }
}

const gnss = (value: string): Series => ({
  ...ofNode('ptp_watch_gnss_state', line([600, value]), ',clock="ts1",state="SYNCHRONIZED"'),
})

const cases: Readonly<Record<string, readonly Case[]>> = {
  'nothing fires': [
    { what: 'while everything is LOCKED', series: node('a', [['LOCKED', 900]]), atSeconds: 800, fires: [] },
  ],
  PTPNodeFreerun: [
    {
      what: 'after 15 s',
      series: node('a', [
        ['LOCKED', 60],
        ['FREERUN', 60],
      ]),
      atSeconds: 80,
      fires: ['PTPNodeFreerun a'],
    },
    {
      what: 'not before',
      series: node('a', [
        ['LOCKED', 60],
        ['FREERUN', 60],
      ]),
      atSeconds: 70,
      fires: [],
    },
    {
      what: 'for a node with a site too',
      series: node('a', [['FREERUN', 60]], 's'),
      atSeconds: 50,
      fires: ['PTPNodeFreerun a'],
    },
    {
      what: 'until 60 s after it locked',
      series: node('a', [
        ['FREERUN', 60],
        ['LOCKED', 120],
      ]),
      atSeconds: 110,
      fires: ['PTPNodeFreerun a'],
    },
    {
      what: 'no longer',
      series: node('a', [
        ['FREERUN', 60],
        ['LOCKED', 120],
      ]),
      atSeconds: 130,
      fires: [],
    },
    {
      what: 'not of a node that is gone',
      series: node('a', [
        ['FREERUN', 60],
        ['gone', 120],
      ]),
      atSeconds: 130,
      fires: [],
    },
  ],
  PTPNodeHoldover: [
    {
      what: 'after 60 s',
      series: node('a', [['HOLDOVER', 120]]),
      atSeconds: 70,
      fires: ['PTPNodeHoldover a'],
    },
    { what: 'not before', series: node('a', [['HOLDOVER', 120]]), atSeconds: 50, fires: [] },
  ],
  PTPHoldoverExpiring: [
    {
      what: 'with less than 30 min left',
      series: ofNode('ptp_watch_holdover_remaining_seconds', line([60, '1799'])),
      atSeconds: 40,
      fires: ['PTPHoldoverExpiring a'],
    },
    {
      what: 'with the budget spent',
      series: ofNode('ptp_watch_holdover_remaining_seconds', line([60, '-5'])),
      atSeconds: 40,
      fires: ['PTPHoldoverExpiring a'],
    },
    {
      what: 'out of specification',
      series: ofNode('ptp_watch_holdover_in_specification', line([60, '0'])),
      atSeconds: 40,
      fires: ['PTPHoldoverExpiring a'],
    },
    {
      what: 'not within specification with time left',
      series: {
        ...ofNode('ptp_watch_holdover_remaining_seconds', line([60, '1800'])),
        ...ofNode('ptp_watch_holdover_in_specification', line([60, '1'])),
      },
      atSeconds: 40,
      fires: [],
    },
  ],
  PTPGnssLost: [
    {
      what: 'after 2 min while LOCKED',
      series: { ...node('a', [['LOCKED', 600]]), ...gnss('0') },
      atSeconds: 130,
      fires: ['PTPGnssLost a'],
    },
    {
      what: 'not before',
      series: { ...node('a', [['LOCKED', 600]]), ...gnss('0') },
      atSeconds: 110,
      fires: [],
    },
    {
      what: 'not with a fix',
      series: { ...node('a', [['LOCKED', 600]]), ...gnss('1') },
      atSeconds: 130,
      fires: [],
    },
    {
      what: 'not beside FREERUN, which says more',
      series: { ...node('a', [['FREERUN', 600]]), ...gnss('0') },
      atSeconds: 130,
      fires: ['PTPNodeFreerun a'],
    },
  ],
  PTPNodeUnknown: [
    {
      what: 'after 5 min',
      series: node('a', [['UNKNOWN', 600]]),
      atSeconds: 310,
      fires: ['PTPNodeUnknown a'],
    },
    { what: 'not before', series: node('a', [['UNKNOWN', 600]]), atSeconds: 290, fires: [] },
  ],
  PTPFlapping: [
    {
      what: 'after 6 changes',
      series: { ...node('a', [['LOCKED', 900]]), ...changing(30, 6, 600) },
      atSeconds: 200,
      fires: ['PTPFlapping a'],
    },
    {
      what: 'not after 5',
      series: { ...node('a', [['LOCKED', 900]]), ...changing(30, 5, 600) },
      atSeconds: 200,
      fires: [],
    },
    {
      what: 'not after 6 in an hour',
      series: { ...node('a', [['LOCKED', HOUR]]), ...changing(300, 6, 600) },
      atSeconds: 1900,
      fires: [],
    },
    {
      what: 'no longer than the changes are recent',
      series: { ...node('a', [['LOCKED', 1200]]), ...changing(30, 6, 1000) },
      atSeconds: 900,
      fires: [],
    },
    {
      what: 'also at the time of a last change to FREERUN',
      series: {
        ...node('a', [
          ['LOCKED', 180],
          ['FREERUN', 600],
        ]),
        ...changing(30, 6, 600),
      },
      atSeconds: 200,
      fires: ['PTPFlapping a', 'PTPNodeFreerun a'],
    },
    {
      what: 'gives way to what the node settled in',
      series: {
        ...node('a', [
          ['LOCKED', 180],
          ['FREERUN', 600],
        ]),
        ...changing(30, 6, 600),
      },
      atSeconds: 400,
      fires: ['PTPNodeFreerun a'],
    },
    {
      what: 'not of a counter that began again',
      series: {
        ...node('a', [['LOCKED', 600]]),
        ...ofNode('ptp_watch_transitions_total', line([100, '9000'], [100, '2'])),
      },
      atSeconds: 150,
      fires: [],
    },
    {
      what: 'not of a node that is gone',
      series: {
        ...node('a', [
          ['LOCKED', 190],
          ['gone', 600],
        ]),
        ...changing(30, 6, 10),
      },
      atSeconds: 320,
      fires: [],
    },
  ],
  PTPSiteOutOfSync: [
    {
      what: 'for 3 of 10 nodes, in whichever state',
      series: {
        ...site('l', [['LOCKED', 60]], 7, 's'),
        ...site('f', [['FREERUN', 60]], 2, 's'),
        ...site('h', [['HOLDOVER', 60]], 1, 's'),
      },
      atSeconds: 40,
      fires: ['PTPSiteOutOfSync s', ...nodesOf('PTPNodeFreerun', 'f', 2)],
    },
    {
      what: 'before the alerts of its nodes',
      series: {
        ...site('l', [['LOCKED', 60]], 7, 's'),
        ...site(
          'f',
          [
            ['LOCKED', 20],
            ['FREERUN', 60],
          ],
          3,
          's',
        ),
      },
      atSeconds: 30,
      fires: ['PTPSiteOutOfSync s'],
    },
    {
      what: 'not for 3 of 11',
      series: { ...site('l', [['LOCKED', 60]], 8, 's'), ...site('f', [['FREERUN', 60]], 3, 's') },
      atSeconds: 40,
      fires: nodesOf('PTPNodeFreerun', 'f', 3),
    },
    {
      what: 'not for 2 of 2',
      series: site('f', [['FREERUN', 60]], 2, 's'),
      atSeconds: 40,
      fires: nodesOf('PTPNodeFreerun', 'f', 2),
    },
    {
      what: 'not for nodes without a site',
      series: site('f', [['FREERUN', 60]], 3, ''),
      atSeconds: 40,
      fires: nodesOf('PTPNodeFreerun', 'f', 3),
    },
    {
      what: 'for each site by itself',
      series: { ...site('f', [['FREERUN', 60]], 2, 's'), ...site('g', [['FREERUN', 60]], 2, 't') },
      atSeconds: 40,
      fires: [...nodesOf('PTPNodeFreerun', 'f', 2), ...nodesOf('PTPNodeFreerun', 'g', 2)],
    },
  ],
  PTPEventsMissed: [
    {
      what: 'when one was',
      series: {
        ...node('a', [['LOCKED', 900]]),
        ...ofNode('ptp_watch_missed_total', line([60, '4'], [600, '5'])),
      },
      atSeconds: 100,
      fires: ['PTPEventsMissed a'],
    },
    {
      what: 'not of what was missed long ago',
      series: { ...node('a', [['LOCKED', 900]]), ...ofNode('ptp_watch_missed_total', line([600, '5'])) },
      atSeconds: 100,
      fires: [],
    },
    {
      what: 'not of a node that is gone',
      series: {
        ...node('a', [
          ['LOCKED', 90],
          ['gone', 60],
        ]),
        ...ofNode('ptp_watch_missed_total', line([60, '4'], [30, '5'])),
      },
      atSeconds: 100,
      fires: [],
    },
  ],
}

const polled = (values: string): Series => ({
  ...both('ptp_watch_store_up', 'job="status"', line([HOUR, '1'])),
  ...both('ptp_watch_poll_last_success_timestamp_seconds', 'node="z",site=""', values),
})
const sweptAt = (values: string, pod = 'old'): Series => ({
  [`ptp_watch_condition_sweep_last_success_timestamp_seconds{namespace="ptp-watch",pod="${pod}"}`]: values,
})

const itself: Readonly<Record<string, readonly Case[]>> = {
  PTPWatchBlind: [
    {
      what: '3 min 30 s after the last poll',
      series: polled(line([600, '100'])),
      atSeconds: 320,
      fires: ['PTPWatchBlind'],
    },
    { what: 'not before', series: polled(line([600, '100'])), atSeconds: 305, fires: [] },
    {
      what: 'where status has no metrics',
      series: polled(line([100, '100'], [100, 'stale'])),
      atSeconds: 160,
      fires: ['PTPWatchBlind'],
    },
    {
      what: 'not after a scrape that failed',
      series: polled(line([100, '100'], [10, 'stale'], [100, '100'])),
      atSeconds: 125,
      fires: [],
    },
    {
      what: 'not where a poll reaches any publisher',
      series: { ...healthy, ...ofNode('ptp_watch_poll_last_success_timestamp_seconds', line([600, '100'])) },
      atSeconds: 500,
      fires: [],
    },
  ],
  PTPWatchStoreDown: [
    {
      what: 'after 30 s',
      series: { ...healthy, ...both('ptp_watch_store_up', 'job="status"', line([60, '1'], [60, '0'])) },
      atSeconds: 100,
      fires: ['PTPWatchStoreDown'],
    },
    {
      what: 'not before',
      series: { ...healthy, ...both('ptp_watch_store_up', 'job="status"', line([60, '1'], [60, '0'])) },
      atSeconds: 80,
      fires: [],
    },
  ],
  PTPConditionsFrozen: [
    {
      what: 'when no sweep has succeeded for 15 min, and 5 min more',
      series: { ...healthy, ...sweptAt(line([1500, '100'])) },
      atSeconds: 1400,
      fires: ['PTPConditionsFrozen'],
    },
    {
      what: 'not before',
      series: { ...healthy, ...sweptAt(line([1500, '100'])) },
      atSeconds: 1200,
      fires: [],
    },
    {
      what: 'when condition is gone',
      series: { ...healthy, ...sweptAt(line([200, '100'], [5, 'stale'])) },
      atSeconds: 1400,
      fires: ['PTPConditionsFrozen'],
    },
    {
      what: 'when condition has been gone for long',
      stepSeconds: MINUTE,
      series: { ...healthyFor(9 * HOUR, MINUTE), ...sweptAt(minutely([180, '100'], [60, 'stale'])) },
      atSeconds: 8 * HOUR,
      fires: ['PTPConditionsFrozen'],
    },
    {
      what: 'not any more once condition is back',
      stepSeconds: MINUTE,
      series: {
        ...healthyFor(9 * HOUR, MINUTE),
        ...sweptAt(minutely([180, '100'], [60, 'stale'])),
        ...sweptAt(minutely([8 * HOUR, '_'], [600, String(8 * HOUR)]), 'new'),
      },
      atSeconds: 8 * HOUR + 300,
      fires: [],
    },
    {
      what: 'not by a new pod, which has swept nothing yet',
      series: {
        ...healthy,
        ...sweptAt(line([1200, '1150'], [5, 'stale'])),
        ...sweptAt(line([1200, '_'], [600, '0']), 'new'),
      },
      atSeconds: 1600,
      fires: [],
    },
    { what: 'not without condition', series: healthy, atSeconds: 3000, fires: [] },
    {
      what: 'not when a tick comes every 5 min',
      series: {
        ...healthy,
        ...sweptAt(Array.from({ length: 10 }, (_, i) => line([300, String(i * 300)])).join(' ')),
      },
      atSeconds: 2990,
      fires: [],
    },
  ],
}

test.each(Object.entries(cases))('%s: fires in each case that it is for, and in no other', async (_, all) => {
  expect(await failures(all.map((each) => ({ ...each, series: { ...healthy, ...each.series } })))).toBe('')
})

test.each(Object.entries(itself))(
  '%s: fires in each case that it is for, and in no other',
  async (_, all) => {
    expect(await failures(all)).toBe('')
  },
)

const alerts = () => shippedRules().groups.flatMap(({ rules }) => rules)

test('each rule fires and does not fire in some case, and has its runbook', () => {
  const all = { ...cases, ...itself }
  for (const { alert, annotations } of alerts()) {
    const seen = (all[alert] ?? []).map(({ fires }) => fires.some((each) => each.split(' ')[0] === alert))
    expect([alert, ...new Set(seen)].sort()).toEqual([alert, false, true].sort())
    expect(annotations.runbook_url).toBe(`docs/runbooks/${alert}.md`)
    expect(existsSync(new URL(`../../${annotations.runbook_url}`, import.meta.url))).toBe(true)
  }
})

test.each([1, 0.1])(
  'promtool has nothing to say of the rules, their times multiplied by %d',
  async (factor) => {
    const folder = await temporaryFolder()
    try {
      const file = join(folder.path, 'rules.yml')
      await writeFile(file, stringify(factor === 1 ? shippedRules() : scaledRules(shippedRules(), factor)))
      const { ok, said } = await check('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', file])
      expect(said).toContain('11 rules found')
      expect(ok).toBe(true)
    } finally {
      await folder.remove()
    }
  },
)

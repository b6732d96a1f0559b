import { expect, onTestFinished, test } from 'vitest'
import type { ClockChange } from '#local/publishers/index.ts'
import { clocksIn, redHatV2 } from '../e2e/support/publishers.ts'
import { eventually, listening, serve, startSystem } from '../e2e/support/system.ts'
import { startRedis } from '../support/redis.ts'
import { dashboardQueries } from './support/dashboards.ts'
import { type Notification, startAlertmanager, startPrometheus } from './support/servers.ts'

/** Minutes of the rules and of Alertmanager's sample become seconds. */
const FACTOR = 0.1

const SITE = Array.from({ length: 30 }, (_, i) => `worker-${i}.site-a.example.com`)
const ALONE = 'worker-0.site-b.example.com'
const FLAPPING = 'worker-0.site-c.example.com'

const synchronized: ClockChange = { kind: 'gnss-sync-status', state: 'SYNCHRONIZED', gpsFix: 3, offset: 5 }
const withoutGnss: readonly ClockChange[] = [
  { kind: 'gnss-sync-status', state: 'ANTENNA-DISCONNECTED', gpsFix: 0, offset: 5 },
  { kind: 'lock-state', state: 'HOLDOVER', offset: 5 },
]

/** A fleet that is LOCKED, over Redis, with Prometheus and Alertmanager beside it. */
async function world() {
  const publishers = await listening(...[...SITE, ALONE, FLAPPING].map((node) => redHatV2(node)))
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'), synchronized)
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const targets = publishers.map(({ node, url }) => ({
    node,
    url,
    labels: { region: 'north', site: node.split('.')[1] },
  }))
  const settings = {
    STATE_URL: `redis://127.0.0.1:${redis.port}`,
    PUBLISHERS: JSON.stringify(targets),
    STALE_AFTER_SECONDS: '15',
    // A push that a slow machine delays is no missed one.
    SETTLE_SECONDS: '60',
    LOG_LEVEL: 'info',
  }
  const system = await startSystem(publishers, settings)
  const [poll, status] = await Promise.all([
    serve(['poll', '--serve', '--every', '1'], system.env),
    serve(['status', '--serve'], system.env),
  ])
  await eventually(async () => {
    const nodes = await system.nodes()
    expect(nodes.filter(({ overall }) => overall === 'LOCKED')).toHaveLength(publishers.length)
  })
  const alertmanager = await startAlertmanager(FACTOR)
  const prometheus = await startPrometheus([status.url], alertmanager.url, FACTOR)
  await eventually(async () => {
    expect(await prometheus.query('ptp_watch_node_state{state="LOCKED"} == 1')).toHaveLength(
      publishers.length,
    )
  })
  const publisher = (node: string) => {
    const found = publishers.find((each) => each.node === node)
    if (found === undefined) throw new Error(`No publisher simulates ${node}`)
    return found
  }
  return { system, poll, alertmanager, prometheus, publisher }
}

const ofSite = (notifications: readonly Notification[], site: string) =>
  notifications.filter(({ groupLabels }) => groupLabels.site === site)

/** `<alert> <status>` of all that was told. */
const told = (notifications: readonly Notification[]) =>
  notifications.flatMap(({ alerts }) => alerts.map(({ labels, status }) => `${labels.alertname} ${status}`))

test('what happens to clocks is told to who is on call: once, by site, and when it is over', async () => {
  const { system, poll, alertmanager, prometheus, publisher } = await world()
  const { notifications } = alertmanager

  publisher(ALONE).setClock(...clocksIn('FREERUN'))
  for (const node of SITE) publisher(node).setClock(...withoutGnss)

  await eventually(() => {
    expect(told(ofSite(notifications, 'site-b'))).toEqual(['PTPNodeFreerun firing'])
  })
  const page = ofSite(notifications, 'site-b')[0]?.alerts[0]
  expect(page?.labels).toMatchObject({ node: ALONE, severity: 'critical' })
  expect(page?.annotations.description).toMatch(
    new RegExp(`${ALONE} \\(site site-b\\).*Clock: \\S+ of \\S+\\.`),
  )

  await eventually(async () => {
    const inhibited = await alertmanager.inhibited()
    expect(inhibited.filter(({ alertname }) => alertname === 'PTPNodeHoldover')).toHaveLength(SITE.length)
  })
  expect(told(ofSite(notifications, 'site-a'))).toEqual(['PTPSiteOutOfSync firing'])

  for (const query of dashboardQueries()) {
    await eventually(async () => {
      expect((await prometheus.query(query)).length, query).toBeGreaterThan(0)
    })
  }

  // Not FREERUN: with times cut to a tenth, its alert fires after 1.5 s, so a slow machine would tell it first.
  for (let times = 0; times < 4; times += 1) {
    publisher(FLAPPING).setClock({ kind: 'lock-state', state: 'HOLDOVER', offset: 2 })
    publisher(FLAPPING).setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
  }
  await eventually(() => expect(told(ofSite(notifications, 'site-c'))).toEqual(['PTPFlapping firing']))
  publisher(FLAPPING).setClock(...clocksIn('FREERUN'))
  await eventually(async () => {
    expect(await alertmanager.inhibited()).toContainEqual(
      expect.objectContaining({ alertname: 'PTPNodeFreerun', node: FLAPPING }),
    )
  })
  expect(told(ofSite(notifications, 'site-c'))).toEqual(['PTPFlapping firing'])

  // It knows of no metrics before its first scrape; that is another reason.
  const blind = () =>
    notifications
      .flatMap(({ alerts }) => alerts)
      .filter(({ labels }) => labels.alertname === 'PTPWatchBlind' && labels.reason === undefined)
  expect(blind()).toEqual([])
  for (const node of [...SITE, ALONE, FLAPPING]) {
    publisher(node).setClock(...clocksIn('LOCKED'), synchronized)
  }
  await eventually(async () => {
    const nodes = await system.nodes()
    expect(nodes.filter(({ overall }) => overall !== 'LOCKED')).toEqual([])
  })
  await poll.stop()

  await eventually(() => {
    expect(told(ofSite(notifications, 'site-b'))).toEqual([
      'PTPNodeFreerun firing',
      'PTPNodeFreerun resolved',
    ])
  })
  await eventually(() => {
    expect(told(ofSite(notifications, 'site-a'))).toContain('PTPSiteOutOfSync resolved')
  })
  const firing = told(ofSite(notifications, 'site-a')).filter((each) => each.endsWith('firing'))
  expect(firing).toEqual(['PTPSiteOutOfSync firing'])
  await eventually(() => {
    expect(blind()).toContainEqual(expect.objectContaining({ status: 'firing' }))
  })
})

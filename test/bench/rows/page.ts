import { chromium, type Page } from 'playwright-core'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import type { World } from '../world.ts'
import { nodeName } from '../notifications.ts'

const NODES = 500

/** A browser, `status` and `ingest` over a store of 500 nodes. */
async function opened(world: World) {
  const { url: STATE_URL } = await world.redis()
  const env = { STATE_URL, LOG_LEVEL: 'warn' }
  const PUBLISHERS = await world.publishersOf(NODES)
  const ingest = await world.server([...world.bundles.main, 'ingest'], { ...env, PUBLISHERS })
  await world.load(ingest.url, { nodes: NODES, count: NODES * 7, what: 'each-kind' })
  const status = await world.server([...world.bundles.main, 'status', '--serve'], env)
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  world.later(() => browser.close())
  return { browser, status, ingest }
}

/** From the request to the first frame that has the fleet in it, beside the same for the bare reply of the API. */
const page: Row = {
  name: 'page',
  unit: 'ms',
  bar: { most: 5 },
  async measure(world) {
    const { browser, status } = await opened(world)
    const measured = async (path: string, until: (tab: Page) => Promise<unknown>) => {
      const tab = await browser.newPage()
      const begunAt = performance.now()
      await tab.goto(status.url + path)
      await until(tab)
      const took = performance.now() - begunAt
      await tab.close()
      return took
    }
    return alternate(world.rounds * 2, {
      ours: () =>
        measured('/', (tab) =>
          tab
            .locator('a.tile')
            .nth(NODES - 1)
            .waitFor(),
        ),
      yardstick: () => measured('/api/fleet', (tab) => tab.locator('body').waitFor()),
    })
  },
}

/** From the POST of a change to the changed row on the page, beside the 2 s between two looks at the store. */
const pageChange: Row = {
  name: 'page-change',
  unit: 'ms',
  bar: { most: 1.5 },
  async measure(world) {
    const { browser, status, ingest } = await opened(world)
    const tab = await browser.newPage()
    await tab.goto(`${status.url}/?name=${nodeName(0)}`)
    await tab.locator('table.nodes tr').nth(1).waitFor()
    let turn = 0
    return alternate(world.rounds * 2, {
      async ours() {
        const state = turn++ % 2 === 0 ? 'FREERUN' : 'HOLDOVER'
        const begunAt = performance.now()
        await push(ingest.url, nodeName(0), state)
        await tab.locator(`table.nodes tr.${state}`).waitFor()
        return performance.now() - begunAt
      },
      yardstick: async () => 2_000,
    })
  },
}

/** A lock-state notification as Red Hat's publishers of version 2 send it. */
async function push(ingest: string, node: string, value: string): Promise<void> {
  const reply = await fetch(`${ingest}/event/${node}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      id: crypto.randomUUID(),
      type: 'event.sync.ptp-status.ptp-state-change',
      source: `/cluster/node/${node}/sync/ptp-status/lock-state`,
      specversion: '1.0',
      time: new Date().toISOString(),
      data: {
        version: '1.0',
        values: [
          {
            data_type: 'notification',
            ResourceAddress: `/cluster/node/${node}/ens5fx/master`,
            value_type: 'enumeration',
            value,
          },
        ],
      },
    }),
  })
  if (reply.status !== 204) throw new Error(`ingest answered ${reply.status}`)
}

export const pageRows: readonly Row[] = [page, pageChange]

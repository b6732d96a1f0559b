import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'
import { type HostedFunction, onServe, MAIN } from '../../runtime/processes.ts'
import { freePort } from '../../support/free-port.ts'
import { clockAt, lockedNode, openStore, put, temporaryFolder } from '../fleet.ts'
import { expectNoSideways, openBrowser, violations, watch } from './browser.ts'

let browser: Browser
/** Eight nodes that no test changes. */
let eight: Awaited<ReturnType<typeof fleet>>
beforeAll(async () => {
  browser = await openBrowser()
  const ends: (() => Promise<void>)[] = [() => browser.close()]
  eight = await fleet(
    8,
    (i) => nodeAt(i, Date.now()),
    (end) => ends.push(end),
  )
  return async () => void (await Promise.all(ends.map((end) => end())))
})

const nameOf = (i: number) => `worker-${String(i).padStart(4, '0')}.example.com`

/** Every 41st node is in trouble, in turn FREERUN, HOLDOVER and stale. */
function nodeAt(i: number, now: number): NodeState {
  const labels = { labels: { site: `site-${'abcdefgh'[i % 8]}` } }
  if (i % 123 === 82) return lockedNode(nameOf(i), now - 3_600_000 * 24, labels)
  const node = lockedNode(nameOf(i), now, labels)
  if (i % 41 !== 0) return node
  const state = i % 123 === 0 ? 'FREERUN' : 'HOLDOVER'
  return {
    ...node,
    clocks: [clockAt(now, 'lock-state', 'ens5fx/master', { state }), ...node.clocks.slice(1)],
  }
}

/** `status` over a store of its own, as a process; both end with the test. */
async function fleet(
  count: number,
  nodes = (i: number) => nodeAt(i, Date.now()),
  atEnd: (end: () => Promise<void>) => void = onTestFinished,
) {
  const folder = temporaryFolder()
  const stateUrl = `sqlite:${folder.path}/state.db`
  const store = await openStore(stateUrl, 1_000)
  for (let i = 0; i < count; i += 500) {
    await Promise.all(Array.from({ length: Math.min(500, count - i) }, (_, j) => put(store, nodes(i + j), 3)))
  }
  const env = { STATE_URL: stateUrl, STALE_AFTER_SECONDS: '36000', PORT: String(await freePort()) }
  let status: HostedFunction = await onServe(MAIN, 'status', env)
  atEnd(async () => {
    await status.stop()
    await store.close()
    folder.remove()
  })
  const restart = async () => {
    status = await onServe(MAIN, 'status', env)
  }
  return { url: status.url, store, stop: () => status.stop(), restart }
}

const change = (store: Store, node: string, state: string) =>
  store.update(node, (before) => {
    if (before === undefined) throw new Error(`There is no ${node}`)
    const clocks = before.clocks.map((clock) => (clock.kind === 'lock-state' ? { ...clock, state } : clock))
    const entry = { type: 'overall', from: 'LOCKED', to: state, via: 'push', overall: state } as const
    return {
      state: { ...before, clocks },
      entries: [{ ...entry, at: new Date().toISOString() }],
      result: undefined,
    }
  })

const counter = (page: Page, state: string) =>
  page.locator('button.counter', { hasText: state }).locator('.count')
const WAIT = { timeout: 60_000 }
const rowsAre = (page: Page, count: number) =>
  expect.poll(() => page.locator('table.nodes tbody tr').count(), WAIT).toBe(count)

describe('the fleet page', () => {
  test.each([
    [0, {}],
    [8, { FREERUN: 1, LOCKED: 7 }],
    [500, { FREERUN: 5, HOLDOVER: 4, UNKNOWN: 4, LOCKED: 487 }],
  ])('of %i nodes counts them, is accessible and asks nobody else', async (count, counts) => {
    const { url } = count === 8 ? eight : await fleet(count)
    const { page, problems } = await watch(browser, url)
    if (count === 0) {
      await page.getByText('The store holds no nodes yet').waitFor(WAIT)
      expect(await page.title()).toBe('no nodes – PTP Watch')
    }
    for (const [state, number] of Object.entries(counts)) {
      await counter(page, state).getByText(String(number), { exact: true }).waitFor(WAIT)
    }
    if (count > 100) expect(await page.locator('a.tile').count()).toBe(count)
    else expect(await page.locator('table.nodes tbody tr').count()).toBe(count)
    await expectNoSideways(page)
    expect(await violations(page)).toEqual([])
    expect(problems).toEqual([])
  })

  test('filters by state, name and label; the address holds them, and opens them again', async () => {
    const { page } = await watch(browser, eight.url)
    const rows = page.locator('table.nodes tbody tr')
    await page.getByRole('button', { name: 'FREERUN' }).click(WAIT)
    await rows.first().waitFor(WAIT)
    expect(await rows.count()).toBe(1)
    expect(page.url()).toContain('?overall=FREERUN')
    await page.getByRole('button', { name: 'FREERUN' }).click()
    await page.getByRole('searchbox').fill('worker-0003')
    await rowsAre(page, 1)
    await page.getByRole('searchbox').fill('')
    await page.locator('select[name=label-site]').selectOption('site-c')
    await rowsAre(page, 1)
    await page.reload()
    await rows.first().waitFor(WAIT)
    expect(await rows.allInnerTexts()).toEqual([expect.stringContaining(nameOf(2))])
    await page.getByRole('link', { name: 'Clear filters' }).click()
    await page.locator('select[name=sort]').selectOption('name')
    await rowsAre(page, 8)
    await page.locator('select[name=group]').selectOption('-')
    await expect.poll(() => page.locator('table.nodes').count(), WAIT).toBe(1)
    expect((await rows.allInnerTexts())[0]).toContain(nameOf(0))
    expect(page.url()).toContain('sort=name&group=-')
  })

  test('follows a change, in the tab as well, and a node that goes', async () => {
    const { url, store } = await fleet(8)
    const { page, problems } = await watch(browser, url)
    await page.locator('.dot.live').waitFor(WAIT)
    expect(await page.title()).toBe('■ 1 FREERUN – PTP Watch')
    await change(store, nameOf(3), 'HOLDOVER')
    await page.locator('tr.HOLDOVER', { hasText: nameOf(3) }).waitFor(WAIT)
    expect(await page.title()).toBe('■ 1 FREERUN ▲ 1 HOLDOVER – PTP Watch')
    await change(store, nameOf(3), 'LOCKED')
    await change(store, nameOf(0), 'LOCKED')
    await expect.poll(() => page.title(), WAIT).toBe('● 8 LOCKED – PTP Watch')
    expect(await page.locator('#icon').getAttribute('href')).toBe('/icon/locked.svg')
    await store.remove(nameOf(5))
    await rowsAre(page, 7)
    expect(problems).toEqual([])
  })

  test('counts holdover down by itself, on the row and on the page of the node, to its end without status', async () => {
    const began = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString()
    const inHoldover = (name: string, seconds: number, ...classes: readonly string[]) => {
      const now = Date.now()
      const state = { state: 'HOLDOVER', since: began(seconds) }
      const clockClasses = classes.map((clockClass) =>
        clockAt(now, 'clock-class', 'ens1', { state: null, metrics: { clockClass } }),
      )
      return lockedNode(name, now, { clocks: [clockAt(now, 'lock-state', 'ens1', state), ...clockClasses] })
    }
    const nodes = [
      inHoldover('half.example.com', 7_200, '7'),
      inHoldover('spent.example.com', 14_500),
      inHoldover('out.example.com', 60, '165'),
    ]
    const { url, stop } = await fleet(nodes.length, (i) => nodes[i] ?? nodeAt(i, Date.now()))
    const { page, problems } = await watch(browser, url)
    const { page: other } = await watch(browser, url)
    const lineOf = (name: string, on = page) => on.locator('tr', { hasText: name }).locator('.holdover')
    await lineOf('spent').getByText('holdover budget spent', { exact: true }).waitFor(WAIT)
    await lineOf('out').getByText('out of specification: clock class 165', { exact: true }).waitFor(WAIT)
    await lineOf('half')
      .getByText(/^(2 h 0 min|1 h 59 min) of holdover left$/)
      .waitFor(WAIT)
    expect(await violations(page)).toEqual([])
    await page.goto(`${url}/nodes/half.example.com`)
    await page.locator('p.holdover', { hasText: 'of holdover left' }).waitFor(WAIT)
    expect(await page.locator('p.holdover').textContent()).toContain('budget 4 h 0 min, until ')
    for (const [name, told] of [
      ['spent', 'budget 4 h 0 min, ended '],
      ['out', 'clock class 165 since '],
    ]) {
      await page.goto(`${url}/nodes/${name}.example.com`)
      await page.locator('p.holdover', { hasText: told ?? '' }).waitFor(WAIT)
    }
    // Once status is away, a page that asks again is refused, which the browser calls an error.
    expect(problems).toEqual([])
    await lineOf('half', other).getByText('of holdover left').waitFor(WAIT)
    await stop()
    await other.clock.install()
    await other.clock.fastForward('02:00:00')
    await lineOf('half', other).getByText('holdover budget spent').waitFor(WAIT)
  })

  test('says that it is not live once status is away, and is live again when it is back', async () => {
    const { url, store, stop, restart } = await fleet(8)
    const { page } = await watch(browser, url)
    await page.locator('.dot.live').waitFor(WAIT)
    await stop()
    await page.locator('.dot.lost').waitFor(WAIT)
    await page.getByText('Not live: this is the picture of').waitFor(WAIT)
    expect(await page.title()).toBe('⚠ not live – PTP Watch')
    expect(await page.locator('main.old').count()).toBe(1)
    await change(store, nameOf(3), 'FREERUN')
    await restart()
    await page.locator('tr.FREERUN', { hasText: nameOf(3) }).waitFor(WAIT)
    await page.locator('.dot.live').waitFor(WAIT)
    expect(await page.locator('main.old').count()).toBe(0)
  })

  test('asks every few seconds where there is no stream', async () => {
    const { url, store } = await fleet(8)
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.route('**/api/stream*', (route) => route.fulfill({ status: 503, body: '' }))
    await page.goto(url)
    await page.getByText('no stream, asks every 5 s').waitFor(WAIT)
    await change(store, nameOf(3), 'FREERUN')
    await page.locator('tr.FREERUN', { hasText: nameOf(3) }).waitFor(WAIT)
  })

  test('is used by keyboard alone', async () => {
    const { page } = await watch(browser, eight.url)
    await page.getByRole('button', { name: 'FREERUN' }).waitFor(WAIT)
    const press = async (key: string, until: () => Promise<boolean>) => {
      for (let i = 0; i < 40 && !(await until()); i++) await page.keyboard.press(key)
      expect(await until()).toBe(true)
    }
    const focused = (text: string) => async () =>
      (await page.locator(':focus').allInnerTexts()).some((each) => each.includes(text))
    await press('Tab', focused('FREERUN'))
    await page.keyboard.press('Space')
    await rowsAre(page, 1)
    await press('Tab', focused(nameOf(0)))
    await page.keyboard.press('Enter')
    await page.waitForURL(`**/nodes/${nameOf(0)}`)
    await page.getByRole('heading', { name: 'History' }).waitFor(WAIT)
  })

  test('is readable 360 px wide, dark and in forced colours', async () => {
    // One in each state, and as wide as they get.
    const { url } = await fleet(4, (i) => nodeAt(i * 41, Date.now()))
    const looks = [
      { viewport: { width: 360, height: 740 } },
      { colorScheme: 'dark' },
      { forcedColors: 'active' },
    ] as const
    for (const options of looks) {
      for (const path of ['/', `/nodes/${nameOf(0)}`]) {
        const { page, problems } = await watch(browser, url + path, options)
        await page.locator('.dot.live').waitFor(WAIT)
        await page.locator('main table').first().waitFor(WAIT)
        await expectNoSideways(page)
        expect(await violations(page)).toEqual([])
        expect(problems).toEqual([])
        await page.close()
      }
    }
  })

  test('takes no harm from names', async () => {
    const names = [
      '<img src=x onerror=alert(1)>',
      '"><script>alert(2)</script>',
      '\u001b[31mred',
      '\u202eevil',
      'a'.repeat(253),
      '../../etc/passwd',
      "o'brien; rm -rf",
      '{{alert(3)}}',
    ]
    const { url } = await fleet(names.length, (i) =>
      lockedNode(names[i] ?? '', Date.now(), { labels: { site: `<b>${i}</b>` } }),
    )
    const { page, problems } = await watch(browser, url, { viewport: { width: 800, height: 600 } })
    await rowsAre(page, 8)
    const shown = await page.locator('table.nodes th a').allInnerTexts()
    expect(shown.toSorted()).toEqual(
      names.map((name) => name.replace('\u001b', '\\u001b').replace('\u202e', '\\u202e')).toSorted(),
    )
    await expectNoSideways(page)
    for (let i = 0; i < names.length; i++) {
      await page.locator('table.nodes th a').nth(i).click()
      await page.getByRole('heading', { name: 'History' }).waitFor(WAIT)
      await expectNoSideways(page)
      await page.goto(url)
      await rowsAre(page, 8)
    }
    expect(problems).toEqual([])
  })
})

describe('the page of a node', () => {
  test('shows since when and why, its clocks, history, log and the command to look further', async () => {
    const now = Date.now()
    const { url, store } = await fleet(1, () => nodeAt(0, now))
    const { page, problems } = await watch(browser, `${url}/nodes/${nameOf(0)}?span=1h`)
    await page.getByText('lock-state of ens5fx/master is FREERUN').waitFor(WAIT)
    expect(await page.title()).toBe(`■ FREERUN ${nameOf(0)} – PTP Watch`)
    expect(await page.locator('#doctor').innerText()).toBe(`ptp-watch doctor --node ${nameOf(0)}`)
    await page.locator('.lane').nth(2).waitFor(WAIT)
    expect(await page.locator('.lane').count()).toBe(3)
    await change(store, nameOf(0), 'LOCKED')
    await page.locator('.summary.LOCKED').waitFor(WAIT)
    await page.locator('table.log td', { hasText: 'overall' }).waitFor(WAIT)
    const csv = await page.request.get(
      new URL((await page.getByRole('link', { name: 'CSV', exact: true }).getAttribute('href')) ?? '', url)
        .href,
    )
    expect((await csv.text()).split('\r\n')[0]).toContain('seq,type,kind')
    expect(await violations(page)).toEqual([])
    expect(problems).toEqual([])
  })

  test('offers its whole log as CSV, older than what the API gives by itself', async () => {
    const now = Date.now()
    const { url, store } = await fleet(1, () => nodeAt(0, now))
    const entries = Array.from({ length: 250 }, (_, i) => ({
      ...({ type: 'changed', kind: 'lock-state', instance: 'x', to: 'LOCKED', via: 'push' } as const),
      at: new Date(now - 3 * 86_400_000 + i).toISOString(),
      overall: 'LOCKED' as const,
    }))
    await store.update(nameOf(0), (state) => ({ state, entries, result: undefined }))
    const { page, problems } = await watch(browser, `${url}/nodes/${nameOf(0)}?span=7d`)
    const link = page.getByRole('link', { name: 'all as CSV' })
    await link.waitFor(WAIT)
    const csv = await page.request.get(new URL((await link.getAttribute('href')) ?? '', url).href)
    expect((await csv.text()).split('\r\n').filter((line) => line.includes(',x,'))).toHaveLength(250)
    expect(problems).toEqual([])
  })

  test('of a name that the store does not have says so', async () => {
    const { page } = await watch(browser, `${eight.url}/nodes/nobody`)
    await page.getByText('The store has no node of this name').waitFor(WAIT)
  })
})

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod/mini'
import { catalogue } from '#functions/catalogue.ts'
import { ingest } from '#functions/ingest/index.ts'
import { command } from '#shared/runtime/cli.ts'
import { openFunction } from '#shared/runtime/host.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { viewOf } from '#shared/state/view.ts'
import { type View, view } from '../e2e/support/view.ts'
import { openStore } from '../functions/fleet.ts'
import { folder } from '../publishers/support/folder.ts'
import { start, MAIN } from '../runtime/processes.ts'
import { serving } from '../runtime/serving.ts'
import { filled, readCases, type Step, type WantedNode } from './case.ts'
import { startToldPublisher } from './publisher.ts'

const SETTINGS = { ...defaultSettings, settleMs: 200 }

const CHECKS = ['status', 'code', 'says', 'saysNot', 'held', 'state'] as const

test('every case says what must come of it', () => {
  const idle = readCases().filter(({ steps }) =>
    steps.every((step) => CHECKS.every((check) => step[check] === undefined)),
  )
  expect(idle.map(({ id }) => id)).toEqual([])
})

test.each(readCases())('$id: $what: $expect', async (one) => {
  const publisher = await startToldPublisher(one.publisher)
  const place = await folder()
  for (const [file, text] of Object.entries(one.files)) await writeFile(join(place, file), text)
  const own = Object.entries(one.env).map(([name, value]) => [name, value.replaceAll('{{folder}}', place)])
  const common: Record<string, string> = {
    STATE_URL: `sqlite:${join(place, 'state.db')}`,
    PUBLISHERS: JSON.stringify([{ node: one.node, url: publisher.url + one.urlSuffix, ...one.target }]),
    SETTLE_SECONDS: String(SETTINGS.settleMs / 1_000),
    SUBSCRIBE_DEADLINE_SECONDS: '5',
    ...Object.fromEntries(own),
  }
  const { url } = await serveIngest(common)
  const env = { ...common, CALLBACK_URL: url + one.callbackSuffix }
  /** In this process; in one of its own where what it says, its log included, matters. */
  const run = async ({ run: args = [], says, saysNot }: Step) => {
    if (says === undefined && saysNot === undefined) return await runHere(args, env)
    const running = start([MAIN, ...args], env)
    onTestFinished(() => running.kill('SIGKILL'))
    return { code: await running.exit, out: running.out(), err: running.err() }
  }
  for (const step of one.steps) {
    if (step.wait !== undefined) await new Promise((resolve) => setTimeout(resolve, step.wait))
    if (step.publisher !== undefined) publisher.become(step.publisher)
    if (step.post !== undefined) {
      const { status, text } = await post(url + step.post, step)
      expect(step.status ?? status, text).toBe(status)
    }
    if (step.run !== undefined) {
      const { code, out, err } = await run(step)
      expect(code, err).toBe(step.code ?? code)
      for (const text of step.says ?? []) expect(out + err).toMatch(new RegExp(text, 's'))
      for (const text of step.saysNot ?? []) expect(out + err).not.toMatch(new RegExp(text, 's'))
    }
    if (typeof step.held === 'number') expect(publisher.held()).toHaveLength(step.held)
    else if (step.held !== undefined) expect(publisher.held().toSorted()).toEqual(step.held.toSorted())
    if (step.state === undefined) continue
    const nodes = await shownIn(common.STATE_URL ?? '')
    for (const [name, wanted] of Object.entries(step.state)) {
      const found = nodes.find(({ node }) => node === name)
      if (wanted === null) expect(found).toBeUndefined()
      else check(found, wanted)
    }
  }
})

async function runHere(argv: readonly string[], env: Record<string, string>) {
  let out = ''
  let err = ''
  const terminal = {
    out(text: string) {
      out += text
    },
    err(text: string) {
      err += text
    },
    interactive: false,
    colour: false,
    columns: 80,
  }
  const { signal } = new AbortController()
  const quiet = { ...env, LOG_LEVEL: 'error' }
  const code = await command(catalogue, { argv, env: quiet, terminal, signal, version: async () => '' })
  return { code, out, err }
}

/** Ingest in this process, on a real socket: fifty processes would take half a minute to start. */
async function serveIngest(env: Record<string, string>): Promise<{ url: string }> {
  const { open } = await openFunction(ingest, { ...env, LOG_LEVEL: 'error' })
  // After it has been drained.
  onTestFinished(() => open.close())
  if (open.handle === undefined) throw new TypeError('Ingest is served')
  return serving(open.handle, {}, open.admit)
}

/** What the API would show of every node. */
async function shownIn(stateUrl: string): Promise<View[]> {
  const store = await openStore(stateUrl)
  try {
    const { nodes } = await store.list({ limit: 100 })
    const views = nodes.map(async ({ state }) =>
      viewOf(state, Date.now(), SETTINGS, await store.log(state.node, { after: 0, limit: 100 })),
    )
    return z.array(view).parse(await Promise.all(views))
  } finally {
    await store.close()
  }
}

async function post(url: string, { headers, body, raw }: Step) {
  const bytes = raw ?? (body === undefined ? '' : JSON.stringify(body))
  const all = Object.entries(headers ?? { 'content-type': 'application/json' })
  const answer = await request(url, {
    method: 'POST',
    headers: Object.fromEntries(all.map(([name, value]) => [name, filled(value)])),
    body: filled(bytes),
  })
  return { status: answer.statusCode, text: await answer.body.text() }
}

function check(found: View | undefined, wanted: WantedNode): void {
  if (found === undefined) throw new Error('The node is not shown')
  const { overall, stale, clocks = {}, only, counters, log = [], logNot = [] } = wanted
  if (overall !== undefined) expect([overall].flat()).toContain(found.overall)
  if (stale !== undefined) expect(found.stale).toBe(stale)
  const all = new Map(found.resources.map((one) => [`${one.kind} ${one.instance}`, one]))
  if (only !== undefined) expect([...all.keys()].toSorted()).toEqual(only.toSorted())
  for (const [name, clock] of Object.entries(clocks)) {
    const seen = all.get(name)
    if (clock === null) expect(seen).toBeUndefined()
    else {
      const { metrics = {}, ...rest } = clock
      expect({ name, ...seen }).toMatchObject({ name, ...rest })
      for (const [figure, value] of Object.entries(metrics)) expect(seen?.metrics[figure] ?? null).toBe(value)
    }
  }
  if (counters !== undefined) expect(found.counters).toMatchObject(counters)
  for (const entry of log) expect(found.log).toContainEqual(expect.objectContaining(entry))
  for (const entry of logNot) expect(found.log).not.toContainEqual(expect.objectContaining(entry))
}

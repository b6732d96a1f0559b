import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'undici'
import { onTestFinished, vi } from 'vitest'
import { status } from '#functions/status/index.ts'
import type { Publisher } from '#local/publishers/index.ts'
import { openFunction } from '#shared/runtime/host.ts'
import { type Env, type Running, start, MAIN } from '../../runtime/processes.ts'
import { serving } from '../../runtime/serving.ts'
import { type View, page, view } from './view.ts'

export const SECRET = 'a secret of the end to end tests'

export type Finished = { readonly code: number | null; readonly out: string; readonly err: string }

/** A function that serves, in a process of its own. */
export type Service = {
  readonly url: string
  readonly running: Running
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>
}

/** The functions over one store of their own, for the length of one test: each a process, save status, which is only asked. */
export type System = {
  readonly ingest: Service
  readonly poll: Service
  /** The environment of its processes, for more of them. */
  readonly env: Env
  /** Ends ingest; its place stays free for {@link System.startIngest}. */
  stopIngest(): Promise<number | null>
  startIngest(env?: Env): Promise<Service>
  /** Runs a function once, `subscribe --remove` say. */
  run(args: readonly string[], env?: Env): Promise<Finished>
  /** Starts a function that runs once. */
  begin(args: readonly string[], env?: Env): Running
  /** A poll of all publishers, by the process that serves; ends with it. */
  tick(): Promise<void>
  /** A node, with its log. */
  node(publisher: Pick<Publisher, 'node'>): Promise<View>
  /** All nodes, without logs. */
  nodes(): Promise<View[]>
}

/** What the configuration has for these publishers, under the names given or their own. */
export function targetsOf(publishers: readonly Publisher[]): object[] {
  return publishers.map(({ node, url, transport }) => ({
    node,
    url,
    ...(transport === undefined ? {} : { transport }),
  }))
}

export async function startSystem(publishers: readonly Publisher[], env: Env = {}): Promise<System> {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-e2e-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const common: Record<string, string> = {
    STATE_URL: `sqlite:${join(folder, 'state.db')}`,
    PUBLISHERS: JSON.stringify(targetsOf(publishers)),
    CALLBACK_SECRET: SECRET,
    SETTLE_SECONDS: '0.2',
    SUBSCRIBE_DEADLINE_SECONDS: '60',
    POLL_DEADLINE_SECONDS: '600',
    LOG_LEVEL: 'debug',
    ...env,
  }
  let ingest = await serve(['ingest'], common)
  const others = { ...common, CALLBACK_URL: ingest.url }
  const [shown, poll] = await Promise.all([serveStatus(common), serve(['poll', '--serve'], others)])

  return {
    get ingest() {
      return ingest
    },
    poll,
    env: others,
    stopIngest: () => ingest.stop(),
    async startIngest(own = {}) {
      ingest = await serve(['ingest'], { ...common, PORT: new URL(ingest.url).port, ...own })
      return ingest
    },
    async run(args, own = {}) {
      const running = begin(args, { ...others, ...own })
      const code = await running.exit
      return { code, out: running.out(), err: running.err() }
    },
    begin: (args, own = {}) => begin(args, { ...others, ...own }),
    tick: () => tick(poll),
    async node({ node }) {
      return view.parse(await json(`${shown.url}/api/nodes/${encodeURIComponent(node)}`))
    },
    async nodes() {
      return page.parse(await json(`${shown.url}/api/nodes?limit=500`)).nodes
    },
  }
}

/** Status in this process, on a real socket. */
async function serveStatus(env: Env): Promise<{ readonly url: string }> {
  const { open } = await openFunction(status, { ...env, LOG_LEVEL: 'error' })
  onTestFinished(() => open.close())
  if (open.handle === undefined) throw new TypeError('Status is served')
  return serving(open.handle, {}, open.admit)
}

/** Starts a function that serves on a free port of 127.0.0.1, until the test ends. */
export async function serve(args: readonly string[], env: Env): Promise<Service> {
  const running = begin(args, { HOST: '127.0.0.1', PORT: '0', ...env })
  const written = await running.until(/"message":"listening".*\n/)
  const [, url] = /"message":"listening".*?"url":"([^"]+)"/.exec(written) ?? []
  if (url === undefined) throw new Error(`It does not say where it listens:\n${written}`)
  return {
    url,
    running,
    stop() {
      running.kill('SIGTERM')
      return running.exit
    },
  }
}

/** A tick; it fails the test where the run did. */
export async function tick(poll: Service): Promise<void> {
  const { statusCode, body } = await request(`${poll.url}/tick`, { method: 'POST' })
  const text = await body.text()
  if (statusCode !== 202) throw new Error(`The tick was answered ${statusCode} ${text}`)
}

/** Waits until what `check` asserts is so, asking again and again; fails with what it last said. */
export function eventually<T>(check: () => Promise<T> | T, timeout = 60_000): Promise<T> {
  return vi.waitFor(check, { timeout, interval: 25 })
}

/** Opens the sockets of publishers until the test ends. */
export async function listening<const T extends readonly Publisher[]>(...publishers: T): Promise<T> {
  for (const publisher of publishers) onTestFinished(() => publisher.close())
  await Promise.all(publishers.map((publisher) => publisher.listen()))
  return publishers
}

function begin(args: readonly string[], env: Env): Running {
  const running = start([MAIN, ...args], env)
  onTestFinished(async () => {
    running.kill('SIGKILL')
    await running.exit
  })
  return running
}

/** A store that a busy machine holds up is asked again. */
async function json(url: string): Promise<unknown> {
  const { statusCode, body } = await eventually(async () => {
    const answer = await request(url)
    if (answer.statusCode === 503) throw new Error(`GET ${url} was answered 503 ${await answer.body.text()}`)
    return answer
  })
  const text = await body.text()
  if (statusCode !== 200) throw new Error(`GET ${url} was answered ${statusCode} ${text}`)
  return JSON.parse(text)
}

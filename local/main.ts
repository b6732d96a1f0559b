import { mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ShownNode } from '#functions/status/shown.ts'
import { readArguments, wholeNumber } from './arguments.ts'
import { createFleet } from './fleet.ts'
import { createProcesses, type LogLine } from './processes.ts'
import { createScreen, type Screen } from './screen.ts'

const FOLDER = '.ptp-watch'
const LOGS = `${FOLDER}/demo-logs`
/** Not where a real system keeps its state by default. Each start begins with an empty one. */
const STATE = `${FOLDER}/demo.db`
/** Why it stops: the reader of its output has gone (`npm start | head`). */
const UNREAD = 'unread'
/** Where the page is, if nobody else is there; else on the next free port. */
const PAGE_PORT = 8080
const HELP = `Usage: npm start -- [--faults] [--seed <n>] [--pace-ms <n>] [--poll-seconds <n>]

Runs the whole system on this machine: eight simulated publishers, ingest, status and poll as processes of their
own, and subscribe once; then shows the fleet here and at http://localhost:${PAGE_PORT} (or the next free port) until Ctrl-C.
Its state is ${STATE}, its logs are in ${LOGS}/. No settings of the environment are used.

  --faults            publishers drop, repeat, delay, forget, restart, get stuck … now and then
  --seed <n>          which life the clocks live (default 1)
  --pace-ms <n>       mean time between two changes somewhere in the fleet (default 3000)
  --poll-seconds <n>  time between two polls (default 5)
`

const NAME = 'npm start'
const values = readArguments(NAME, {
  faults: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  'pace-ms': { type: 'string', default: '3000' },
  'poll-seconds': { type: 'string', default: '5' },
  help: { type: 'boolean', short: 'h', default: false },
})
const seed = wholeNumber(NAME, 'seed', values.seed, 0, 2 ** 32 - 1)
const paceMs = wholeNumber(NAME, 'pace-ms', values['pace-ms'], 1, 3_600_000)
const pollSeconds = wholeNumber(NAME, 'poll-seconds', values['poll-seconds'], 1, 3_600)

if (values.help) {
  process.stdout.write(HELP)
} else {
  process.exitCode = await main().catch((error: unknown) => {
    process.stderr.write(`npm start: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  })
  process.exit()
}

async function main(): Promise<number> {
  let screen: Screen | undefined
  const stopping = stopRequested(() => {
    screen?.end()
    say('Stopping. Ctrl-C again ends it at once.')
  })
  const stopped = new Promise<'stopped'>((resolve) => {
    stopping.addEventListener('abort', () => resolve('stopped'))
  })
  const early: LogLine[] = []
  await using fleet = createFleet({ seed, faults: values.faults, paceMs })
  await fleet.listen()

  mkdirSync(FOLDER, { recursive: true })
  for (const ending of ['', '-shm', '-wal']) rmSync(`${STATE}${ending}`, { force: true })
  await using processes = createProcesses({
    folder: LOGS,
    env: { STATE_URL: `sqlite:${STATE}`, PUBLISHERS: JSON.stringify(fleet.publishers), LOG_LEVEL: 'info' },
    onLine(_name, line) {
      if (line.message !== 'transition') return
      if (screen === undefined) early.push(line)
      else screen.transition(line)
    },
  })
  const start = async () => {
    const ingest = await processes.serve('ingest', [])
    const port = await freePort(PAGE_PORT)
    const status = await processes.serve('status', ['--serve'], { PORT: String(port) })
    const page = `http://localhost:${port}`
    say(`${page} shows the fleet; ${fleet.publishers.length} simulated publishers are up`)
    const callback = { CALLBACK_URL: ingest.url, LOG_LEVEL: 'error', SUBSCRIBE_DEADLINE_SECONDS: '30' }
    const [poll] = await Promise.all([
      processes.serve('poll', ['--serve'], { CALLBACK_URL: ingest.url }),
      processes.run('subscribe', [], callback),
    ])
    return { ingest, status, page, poll, callback }
  }
  const started = await Promise.race([start(), stopped])
  // Nobody is left to be unsubscribed from: the publishers end with us.
  if (started === 'stopped') return 0

  const { ingest, status, page, poll, callback } = started
  const died = Promise.race(
    [poll, ingest, status].map(({ name, ended }) => ended.then((code) => ({ name, code }))),
  )
  const head = [
    `page      ${page}`,
    `STATE_URL=sqlite:${STATE} npx ptp-watch status`,
    `fleet     ${status.url}/api/nodes`,
    `callback  ${ingest.url}/event/<node>`,
    `metrics   ${ingest.url}/metrics`,
    `switches  ${fleet.control}/`,
    `logs      ${LOGS}/`,
  ]
  screen = createScreen(process.stdout, { head, colour: !process.env.NO_COLOR })
  for (const line of early) screen.transition(line)
  fleet.live()

  const polls = every(pollSeconds * 1000, stopping, async () => {
    await fetch(`${poll.url}/tick`, { method: 'POST', signal: stopping })
  })
  const shown = screen
  const draws = every(500, stopping, async () => {
    const answer = await fetch(`${status.url}/api/nodes`, { signal: stopping })
    const { nodes } = (await answer.json()) as { nodes: ShownNode[] }
    shown.draw(nodes, Date.now())
  })
  const end = await Promise.race([stopped, died])
  screen.end()
  // Nobody reads any more what we would say.
  if (stopping.reason === UNREAD) return 0
  if (end !== 'stopped') {
    say(`${end.name} ended with code ${end.code}: see ${LOGS}/${end.name}.log`)
    return 1
  }
  await Promise.all([polls, draws, fleet.calm()])
  await poll.stop()
  const code = await processes.run('subscribe', ['--remove'], {
    ...callback,
    SUBSCRIBE_DEADLINE_SECONDS: '5',
  })
  await Promise.all([ingest.stop(), status.stop()])
  const left = fleet.simulated.reduce((sum, publisher) => sum + publisher.subscriptions().length, 0)
  say(`Stopped; the publishers hold ${left} subscriptions`)
  return code === 0 && left === 0 ? 0 : 1
}

/** The first port from `first` on that nobody listens on. */
async function freePort(first: number): Promise<number> {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<boolean>()
  server.once('error', () => resolve(false)).listen(first, '127.0.0.1', () => resolve(true))
  const isFree = await promise
  server.close()
  return isFree ? first : freePort(first + 1)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/**
 * Aborted by the first Ctrl-C, SIGTERM, closed terminal or pipe, or when the npm that started us is gone. A signal that
 * comes a second later ends the process at once; one that comes sooner is the same Ctrl-C, which npm passes on too.
 */
function stopRequested(acknowledge: () => void): AbortSignal {
  const stopping = new AbortController()
  let since = 0
  const stop = (reason?: string) => {
    if (stopping.signal.aborted) return
    since = performance.now()
    acknowledge()
    stopping.abort(reason)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (stopping.signal.aborted && performance.now() - since > 1000) process.exit(130)
      stop()
    })
  }
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stop(UNREAD))
  if (process.env.npm_lifecycle_event === 'start') {
    const parent = process.ppid
    setInterval(() => process.ppid === parent || stop(), 500).unref()
  }
  return stopping.signal
}

/** Does `work` again and again, `ms` after it has ended, until `signal`; what fails is tried again the next time. */
async function every(ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work().catch(() => {})
    await sleep(ms, undefined, { signal }).catch(() => {})
  }
}

import type { NodeView } from '#shared/state/view.ts'
import { readArguments, wholeNumber } from './arguments.ts'
import { createFleet } from './fleet.ts'
import { createProcesses, type LogLine } from './processes.ts'
import { createScreen, type Screen } from './screen.ts'

const FOLDER = '.ptp-watch'
const HELP = `Usage: npm start -- [--faults] [--seed <n>] [--pace-ms <n>] [--poll-seconds <n>]

Runs the whole system on this machine: eight simulated publishers, ingest, status and poll as processes of their
own, and subscribe once; then shows the fleet until Ctrl-C. State and logs are in ${FOLDER}/.

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
  const stopped = stopRequested()
  let screen: Screen | undefined
  const early: LogLine[] = []
  await using fleet = createFleet({
    seed,
    faults: values.faults,
    paceMs,
  })
  await fleet.listen()
  say(`${fleet.publishers.length} simulated publishers are up; their switches are at ${fleet.control}`)

  const processes = createProcesses({
    folder: `${FOLDER}/logs`,
    env: {
      STATE_URL: process.env.STATE_URL ?? `sqlite:${FOLDER}/state.db`,
      PUBLISHERS: JSON.stringify(fleet.publishers),
      LOG_LEVEL: 'info',
    },
    onLine(_name, line) {
      if (line.message !== 'transition') return
      if (screen === undefined) early.push(line)
      else screen.transition(line)
    },
  })
  const ingest = await processes.serve('ingest', [])
  const callback = { CALLBACK_URL: ingest.url }
  const status = await processes.serve('status', ['--serve'])
  const poll = await processes.serve('poll', ['--serve'], callback)
  const served = [poll, ingest, status]
  const died = Promise.race(served.map(({ name, ended }) => ended.then((code) => ({ name, code }))))

  await processes.run('subscribe', [], { ...callback, LOG_LEVEL: 'error' })
  const head = [
    `fleet     ${status.url}/api/nodes`,
    `callback  ${ingest.url}/event/<node>    metrics ${ingest.url}/metrics`,
    `switches  ${fleet.control}/    logs ${FOLDER}/logs/    in another terminal: npx ptp-watch status`,
  ]
  for (const line of head) say(line)
  screen = createScreen(process.stdout, { head, colour: process.env.NO_COLOR === undefined })
  for (const line of early) screen.transition(line)
  fleet.live()

  const polls = every(pollSeconds * 1000, async () => {
    await fetch(`${poll.url}/tick`, { method: 'POST' })
  })
  const shown = screen
  const draws = every(500, async () => {
    const answer = await fetch(`${status.url}/api/nodes`)
    const { nodes } = (await answer.json()) as { nodes: NodeView[] }
    shown.draw(nodes, Date.now())
  })
  const end = await Promise.race([stopped, died])
  await Promise.all([polls.stop(), draws.stop()])
  screen.end()
  if (end !== 'stopped') say(`${end.name} ended with code ${end.code}: see ${FOLDER}/logs/${end.name}.log`)
  say('Stopping: all of our subscriptions are taken away first')
  await poll.stop()
  const code = await processes.run('subscribe', ['--remove'], { ...callback, LOG_LEVEL: 'error' })
  await Promise.all([ingest.stop(), status.stop()])
  const left = fleet.simulated.reduce((sum, publisher) => sum + publisher.subscriptions().length, 0)
  say(`Stopped; the publishers hold ${left} subscriptions`)
  return end === 'stopped' && code === 0 && left === 0 ? 0 : 1
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Resolves at the first Ctrl-C, SIGTERM or closed terminal; more of them mean nothing: the way out is the same. */
function stopRequested(): Promise<'stopped'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve('stopped'))
  })
}

/** Does `work` again and again, `ms` after it has ended; what fails is tried again the next time. */
function every(ms: number, work: () => Promise<void>): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await work().catch(() => {})
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        stopping.signal.addEventListener('abort', () => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

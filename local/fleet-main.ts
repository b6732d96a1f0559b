import { readArguments, wholeNumber } from './arguments.ts'
import { createFleet } from './fleet.ts'

const help = `Usage: node local/fleet-main.ts [--seed <n>] [--pace-ms <n>] [--base-port <n>] [--faults] [--log]

Runs eight simulated publishers until SIGTERM or Ctrl-C. Once all listen, one JSON line says where:
  {"publishers":[{"node":"…","url":"…","dialect":"…","transport":"…"},…],"control":"http://127.0.0.1:…"}

  --seed <n>       which life the clocks live (default 1)
  --pace-ms <n>    mean time between two changes somewhere in the fleet (default 3000)
  --base-port <n>  control listens here, the publishers on the next ports (default: any free ports)
  --faults         publishers drop, repeat, delay, forget, restart, get stuck … now and then
  --log            one line per change on standard error

Switches, by hand, with <node> as in the list:
  curl $control/                                           everything
  curl $control/<node>                                     one publisher: clocks, subscriptions, faults
  curl -d '{"kind":"lock-state","state":"FREERUN"}' $control/<node>/clock
  curl -d '{"drop":3}'             $control/<node>/faults   also: duplicate, reorder, delayMs, clockOffsetMs,
                                                            refuse, stuck (v1), currentState, clear
  curl -d '{"warmUpMs":4000}'      $control/<node>/restart  v1 also: {"part":"sidecar"}
  curl -d '{}'                     $control/<node>/forget
The same verbs are at <url>/_sim of each publisher, as long as it does not refuse connections.
`

const NAME = 'fleet-main'
const values = readArguments(NAME, {
  seed: { type: 'string', default: '1' },
  'pace-ms': { type: 'string', default: '3000' },
  'base-port': { type: 'string' },
  faults: { type: 'boolean', default: false },
  log: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
})

if (values.help) {
  process.stdout.write(help)
} else {
  const { 'base-port': basePort } = values
  const fleet = createFleet({
    seed: wholeNumber(NAME, 'seed', values.seed, 0, 2 ** 32 - 1),
    paceMs: wholeNumber(NAME, 'pace-ms', values['pace-ms'], 1, 3_600_000),
    faults: values.faults,
    ...(basePort === undefined ? {} : { basePort: wholeNumber(NAME, 'base-port', basePort, 1, 65_500) }),
    ...(values.log ? { onStep: ({ node, what }) => process.stderr.write(`${node}: ${what}\n`) } : {}),
  })
  const stop = () => void fleet.close()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await fleet.listen()
  process.stdout.write(`${JSON.stringify({ publishers: fleet.publishers, control: fleet.control })}\n`)
  fleet.live()
}

import { setTimeout as sleep } from 'node:timers/promises'
import {
  boundaryClock,
  type Character,
  controller,
  grandmaster,
  type Life,
  ordinaryClock,
} from './life/characters.ts'
import { pickMishap } from './life/mishaps.ts'
import { createRandom } from './life/random.ts'
import { createControl } from './publishers/control.ts'
import { json, notFound } from './publishers/http/go-mux.ts'
import { createHost } from './publishers/http/server.ts'
import {
  createRedHatV1,
  createRedHatV2,
  createStarlingX,
  type Publisher,
  type PublisherOptions,
} from './publishers/index.ts'

export interface FleetOptions {
  readonly seed?: number
  /** Lets things go wrong now and then as well. Default false. */
  readonly faults?: boolean
  /** Mean time between two visible steps somewhere in the fleet (ms). Default 3,000. */
  readonly paceMs?: number
  /** Publishers listen on this port and the next ones, control on the first. Default: any free ports. */
  readonly basePort?: number
  readonly warmUpMs?: number
  /** Told of every step, for logs. */
  readonly onStep?: (step: FleetStep) => void
}

export interface FleetStep {
  readonly node: string
  /** What happened, in words: `lock-state HOLDOVER, clock-class 7` or `restarts`. */
  readonly what: string
}

/** One entry of the list that the consumer's configuration takes. */
export interface FleetPublisher {
  readonly node: string
  readonly url: string
  readonly dialect: 'red-hat-v2' | 'red-hat-v1' | 'starlingx-v2'
  readonly transport?: string
  readonly labels: { readonly site: string }
}

export interface Fleet extends AsyncDisposable {
  /** For PUBLISHERS; after `listen()`. */
  readonly publishers: readonly FleetPublisher[]
  readonly simulated: readonly Publisher[]
  /** Origin of the fleet's switches: `GET /`, and the verbs of `/_sim` under `/<node>/`. */
  readonly control: string
  /** Opens all ports; every clock is locked once its publisher is warm. */
  listen(): Promise<void>
  /** Does the next step of the script at once: the same steps in the same order for the same seed. */
  step(): Promise<FleetStep>
  /** Goes on stepping at the pace until `close()`. Call it once. */
  live(): void
  /** Ends `live()` and every fault: from now on all publishers do as they are told. */
  calm(): Promise<void>
  close(): Promise<void>
}

/**
 * Eight simulated nodes: three v2 of today (ordinary, grandmaster with GNSS and SyncE, boundary clock with
 * two configs), v2 of 4.18, v1 sidecars of 4.14 and 4.18, StarlingX in the standard and the legacy format.
 */
export function createFleet(options: FleetOptions = {}): Fleet {
  const { seed = 1, faults = false, paceMs = 3000 } = options
  const random = createRandom(seed)
  const members = createMembers(options)
  const lives = new Map<Publisher, Life>(
    members.map(({ publisher, character }, index) => [publisher, character(createRandom(seed + index + 1))]),
  )
  const simulated = members.map(({ publisher }) => publisher)
  const closing = new AbortController()
  let ailing: Publisher | undefined
  let living: Promise<void> = Promise.resolve()

  const host = createHost(options.basePort ? { port: options.basePort } : {}, (request) => {
    if (request.path === '/')
      return json(
        200,
        simulated.map((publisher) => publisher.describe()),
      )
    const publisher = simulated.find(({ node }) => `${request.path}/`.startsWith(`/${node}/`))
    if (!publisher) return notFound
    return createControl(`/${publisher.node}`).handle(publisher, request) ?? notFound
  })

  /** The next moment in the life of a node. */
  function advance(publisher: Publisher): FleetStep {
    const changes = lives.get(publisher)?.next().value ?? []
    publisher.setClock(...changes)
    const what = changes.map(({ kind, state, clockClass, ql }) => `${kind} ${state ?? clockClass ?? ql}`)
    return { node: publisher.node, what: what.join(', ') }
  }

  async function suffer(publisher: Publisher): Promise<FleetStep> {
    const mishap = pickMishap(random, publisher)
    ailing = publisher
    await mishap.begin(publisher)
    return { node: publisher.node, what: mishap.name }
  }

  async function step(): Promise<FleetStep> {
    if (ailing && random.next() < 0.2) {
      const { node } = ailing
      await ailing.faults({ clear: true })
      ailing = undefined
      return { node, what: 'is well again' }
    }
    const publisher = simulated[random.between(0, simulated.length - 1)]
    if (!publisher) throw new Error('an empty fleet')
    return faults && !ailing && random.next() < 0.15 ? suffer(publisher) : advance(publisher)
  }

  async function goOn() {
    while (!closing.signal.aborted) {
      await sleep(paceMs * (0.7 + 0.6 * random.next()), undefined, { signal: closing.signal })
      // Not as the argument of an optional call, which is not evaluated where nobody listens.
      const done = await step()
      options.onStep?.(done)
    }
  }

  const fleet: Fleet = {
    get publishers() {
      return simulated.map(describe)
    },
    simulated,
    get control() {
      return host.origin
    },
    async listen() {
      await Promise.all([host.listen(), ...simulated.map((publisher) => publisher.listen())])
      simulated.forEach(advance)
    },
    step,
    live() {
      living = goOn().catch((error) => {
        if (!closing.signal.aborted) throw error
      })
    },
    async calm() {
      closing.abort()
      await living
      await Promise.all(simulated.map((publisher) => publisher.faults({ clear: true })))
    },
    async close() {
      closing.abort()
      await living
      await Promise.all([host.close(), ...simulated.map((publisher) => publisher.close())])
    },
    [Symbol.asyncDispose]: () => fleet.close(),
  }
  return fleet
}

function describe({ node, url, dialect, transport }: Publisher): FleetPublisher {
  const site = /\.(site-\w+)\./.exec(node)?.[1] ?? 'site-d'
  return { node, url, dialect, labels: { site }, ...(transport === undefined ? {} : { transport }) }
}

interface Member {
  readonly publisher: Publisher
  readonly character: Character
}

function createMembers({ basePort, warmUpMs }: FleetOptions): readonly Member[] {
  let nextPort = basePort ?? -1
  const port = () => {
    if (basePort === undefined) return 0
    nextPort += 1
    return nextPort
  }
  const site = (name: string): PublisherOptions => ({
    node: `${name}.example.com`,
    port: port(),
    ...(warmUpMs === undefined ? {} : { warmUpMs }),
  })
  const starlingx = (name: string): PublisherOptions => ({ ...site(name), node: name })
  const instances = { ptp: ['ptp-inst1', 'ptp-inst2'], ts: ['ts1'] }

  return [
    {
      publisher: createRedHatV2({ ...site('worker-0.site-a'), release: 'main' }),
      character: ordinaryClock({ inHoldover: 'follows' }),
    },
    {
      publisher: createRedHatV2({ ...site('worker-1.site-a'), release: 'main' }),
      character: grandmaster({ hasSynce: true, noFix: 'FAILURE-NOFIX' }),
    },
    {
      publisher: createRedHatV2({ ...site('worker-2.site-a'), release: 'main' }),
      character: boundaryClock(),
    },
    {
      publisher: createRedHatV2({ ...site('worker-0.site-b'), release: '4.18' }),
      character: ordinaryClock({ inHoldover: 'flips' }),
    },
    {
      publisher: createRedHatV1({ ...site('worker-0.site-c'), release: '4.14', transportPort: port() }),
      character: ordinaryClock({ inHoldover: 'free-runs' }),
    },
    {
      publisher: createRedHatV1({ ...site('worker-1.site-c'), release: '4.18', transportPort: port() }),
      character: grandmaster({ hasSynce: false, noFix: 'FAILURE-NOFIX' }),
    },
    { publisher: createStarlingX({ ...starlingx('controller-0'), instances }), character: controller() },
    {
      publisher: createStarlingX({
        ...starlingx('controller-1'),
        instances,
        notificationFormat: 'legacy',
      }),
      character: controller(),
    },
  ]
}

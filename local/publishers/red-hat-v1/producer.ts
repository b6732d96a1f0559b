import type { Clock } from '../clocks/clock.ts'
import { createClockModel } from '../clocks/model.ts'
import { type Core, goTime } from '../core.ts'
import type { ClockChange } from '../clocks/clock.ts'
import { classChangeResource, type Resource, resourceIn, resources } from '../red-hat/resources.ts'
import { pullValues, pushValues, type Value } from '../red-hat/values.ts'

export interface ProducerEvent {
  readonly resource: Resource
  readonly address: string
  readonly time: string
  readonly values: readonly Value[]
}

export type Pulled = { readonly event: ProducerEvent } | { readonly error: string }

/** How the sidecar took an event: only `ok` (a 200 in time) is a success to the producer. */
export type Taken = 'ok' | 'timeout' | 'refused'

export interface ProducerParts {
  readonly core: Core
  readonly node: string
  readonly release: '4.14' | '4.18'
  /** The sidecar's id at the producer, stable over restarts. */
  readonly clientId: string
  readonly send: (event: ProducerEvent) => Promise<Taken>
}

/** Where the sidecar believes the producer to be; only error texts show it. */
const producerOrigin = 'http://localhost:9043'

/** Failures in a row after which a client is marked for deletion (protocol.md §2.6). */
const failuresToMark = 10

/**
 * The publisher's half of v1: registrations of one client, its failure counter, and the clocks. An
 * event goes out on its own, not after the one before, so arrivals may be out of order.
 */
export function createProducer({ core, node, release, clientId, send }: ProducerParts) {
  const model = createClockModel({
    syncState: release === '4.14' ? 'raw-at-clock' : 'raw',
    learnsAliasFromLockState: true,
  })
  const known = knownResources(release)
  const registered = new Set<string>()
  const plan = core.faults.planner<ProducerEvent>({
    lane: () => clientId,
    lost: ({ address, values }) => core.dropped(address, JSON.stringify(values)),
  })
  let isUp = true
  let failures = 0
  let isMarked = false

  function announce(clock: Clock) {
    const resource = pushedAs(clock, release)
    if (!resource) return
    const address = `/cluster/node/${node}${resource.suffix}`
    if (!registered.has(address) || isMarked) return
    const values = pushValues(clock, node)
    core.track(deliver({ resource, address, values, time: goTime(core.now()) }))
  }

  async function deliver(event: ProducerEvent) {
    // Without a delay the order of sending is that of the events.
    if (core.faults.delayMs > 0) await core.pause(core.faults.delayMs)
    for (const item of plan(event)) {
      const taken = await send(item)
      failures = taken === 'ok' ? 0 : failures + 1
      if (failures >= failuresToMark) isMarked = true
    }
  }

  return {
    get isUp() {
      return isUp
    },
    /** A new registration lifts the mark. Nothing happens while the producer is down. */
    register(resource: string) {
      if (!isUp) return
      registered.add(resource)
      isMarked = false
      failures = 0
    },
    unregisterAll() {
      if (isUp) registered.clear()
    },
    /** CurrentState as the transport answers it, with Go's error texts (protocol.md §2.5). */
    currentState(resource: string): Pulled {
      if (!isUp) {
        const url = `${producerOrigin}${resource}/${clientId}/CurrentState`
        return { error: `Get "${url}": dial tcp 127.0.0.1:9043: connect: connection refused` }
      }
      if (registered.size === 0) {
        return message(`client is not registered with the event publisher ${producerOrigin} `)
      }
      if (!registered.has(resource)) {
        return message(`subscription for (${resource}) not found for the requesting client ${clientId}`)
      }
      if (!core.ready) return message('onReceive function not defined')
      const asked = resourceIn(resource, known)
      if (!asked) return message(`could not find any events for requested resource type ${resource}`)
      const values = pullValues(model.readings(asked.kind), node)
      if (values.length === 0) return message('event data not found')
      // Asked under a wrong node name or the v2 name of the class, it answers under its own address.
      const own = asked.kind === 'clock-class' ? classChangeResource : asked
      const address = `/cluster/node/${node}${own.suffix}`
      return { event: { resource: asked, address, values, time: goTime(core.now()) } }
    },
    setClock: (changes: readonly ClockChange[]) =>
      core.whenReady(changes, (change) => model.change(change).forEach(announce)),
    /** Stops; what comes meanwhile is lost. */
    stop() {
      isUp = false
    },
    /** Starts with its store, but without the mark and the clocks. */
    start(options: { warmUpMs?: number | undefined; replay: boolean }) {
      const seen = model.replay()
      isUp = true
      isMarked = false
      failures = 0
      model.clear()
      core.warmUp(options.warmUpMs, () => {})
      if (options.replay) core.whenReady(seen, (change) => model.change(change).forEach(announce))
    },
    forget: () => registered.clear(),
    describe: () => ({
      publisherDown: !isUp,
      registered: [...registered],
      failures,
      marked: isMarked,
      clocks: model.clocks(),
    }),
  }
}

export type Producer = ReturnType<typeof createProducer>

/** JSON inside the error string, as the transport wraps it. */
const message = (text: string) => ({ error: `${JSON.stringify({ message: text })}\n` })

/** SyncE can be pulled from neither release over v1; the v2 name of the class only from 4.18. */
function knownResources(release: '4.14' | '4.18') {
  return [...resources, classChangeResource].filter(
    ({ kind, suffix }) =>
      !kind.startsWith('synce-') && (release === '4.18' || suffix !== '/sync/ptp-status/clock-class'),
  )
}

/** Over v1 the class is pushed under its v1 name; 4.14 knows no SyncE. */
function pushedAs({ kind }: Clock, release: '4.14' | '4.18'): Resource | undefined {
  if (kind === 'clock-class') return classChangeResource
  if (release === '4.14' && kind.startsWith('synce-')) return undefined
  return resources.find((resource) => resource.kind === kind)
}

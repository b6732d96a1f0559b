import { type Clock, createClockModel } from '../clocks/model.ts'
import { createControl } from '../control.ts'
import { createCore } from '../core.ts'
import { createHost, type Handler } from '../http/server.ts'
import type { ClockChange, Publisher, PublisherOptions } from '../publisher.ts'
import { createApi } from './api.ts'
import { createDelivery, type Subscription } from './delivery.ts'
import { event, isWholeNode, legacyInstance, malformedTime } from './events.ts'
import { type Address, isAt, type Resource, resources } from './resources.ts'

export interface StarlingXOptions extends PublisherOptions {
  /** Names of the ptp, ts (GNSS) and synce instances. Default: ptp-inst1, ts1, none. */
  readonly instances?: {
    readonly ptp?: readonly string[]
    readonly ts?: readonly string[]
    readonly synce?: readonly string[]
  }
  readonly notificationFormat?: 'standard' | 'legacy'
  /** How far the container's local time, which is sent with a Z, is from UTC (minutes). Default 0. */
  readonly utcOffsetMinutes?: number
}

/**
 * A simulated StarlingX notification sidecar, built from starlingx.md alone (there are no recordings):
 * base `/ocloudNotifications/v2`, health at the root, hierarchical subscriptions, one value per event.
 * In `setClock` an instance is the name of a ptp, ts or synce instance; it starts as UNKNOWN.
 */
export function createStarlingX(options: StarlingXOptions): Publisher {
  const { node, notificationFormat: format = 'standard', utcOffsetMinutes = 0 } = options
  const instances = { ptp: ['ptp-inst1'], ts: ['ts1'], synce: [], ...options.instances }
  const core = createCore(options)
  const model = createClockModel({ syncState: 'worst-of', announcesEveryGnssState: true })
  const subscriptions = new Map<string, Subscription>()
  const delivery = createDelivery(core, subscriptions)
  let newestStamp = 0n

  function start() {
    model.clear()
    for (const change of unknownClocks(instances)) model.change(change)
  }

  /** The stamp of a reading. Readings follow each other, so that two never share a microsecond. */
  function stamp(): bigint {
    const now = core.now()
    newestStamp = now / 1000n === newestStamp / 1000n ? newestStamp + 1000n : now
    return newestStamp
  }

  function make(clock: Clock, resource: Resource, asked: string, isPush: boolean, at: bigint) {
    const time = malformedTime(at, utcOffsetMinutes)
    return event({ clock, resource, id: core.uuid(), time, node: asked, isPush, format })
  }

  function announce(clock: Clock) {
    const resource = resources.find(({ kind }) => kind === clock.kind)
    if (!resource) return
    const at = stamp()
    const body = pushed(make(clock, resource, node, true, at), resource)
    for (const subscription of subscriptions.values()) {
      if (covers(subscription.parsed, resource, clock)) delivery.enqueue(subscription, { body, at })
    }
  }

  const pushed = (one: object, resource: Resource) =>
    JSON.stringify(format === 'legacy' ? { [resource.legacyKey]: [one] } : one)

  /** What lies at or below an address, leaf by leaf. */
  function itemsAt(address: Address): readonly { clock: Clock; resource: Resource }[] {
    return resources.flatMap((resource) =>
      model
        .readings(resource.kind)
        .filter((clock) => covers(address, resource, clock))
        .map((clock) => ({ clock, resource })),
    )
  }

  function currentState(address: Address): unknown {
    const found = itemsAt(address)
    const events = found.map(({ clock, resource }) => ({
      clock,
      event: make(clock, resource, address.node === '*' ? node : address.node, false, stamp()),
    }))
    if (events.length === 0) return undefined
    if (format === 'legacy') {
      return Object.fromEntries(events.map((item) => [legacyInstance(item.clock), item.event]))
    }
    const isSyncState = events.every(({ clock }) => clock.kind === 'sync-state')
    return isSyncState ? events[0]?.event : events.map((item) => item.event)
  }

  const api = createApi({
    core,
    node,
    port: () => host.port,
    subscriptions,
    initial: (address) =>
      itemsAt(address).map(({ clock, resource }) =>
        pushed(make(clock, resource, node, true, stamp()), resource),
      ),
    currentState,
  })
  const control = createControl()
  const handler: Handler = (request) => control.handle(publisher, request) ?? api(request)
  const host = createHost({ ...options, now: core.now }, handler)

  const publisher: Publisher = {
    node,
    dialect: 'starlingx-v2',
    label: `StarlingX ${format}`,
    get url() {
      return host.origin
    },
    transport: undefined,
    metrics: undefined,
    deliveries: core.deliveries,
    async listen() {
      start()
      await host.listen()
      core.warmUp(undefined, () => {})
    },
    async close() {
      core.close()
      await host.close()
    },
    [Symbol.asyncDispose]: () => publisher.close(),
    setClock: (...changes) =>
      core.whenReady(changes, (change) => model.change(named(change, instances)).forEach(announce)),
    becomeReady: core.becomeReady,
    async faults(change) {
      core.faults.change(change)
      if (change.refuse === true) await host.close()
      if (change.refuse === false || change.clear) await host.listen()
    },
    async restart({ downMs = 0, warmUpMs, replay = true } = {}) {
      const seen = model.replay()
      await host.close()
      start()
      await core.pause(downMs)
      await host.listen()
      core.warmUp(warmUpMs, () => {})
      if (replay) publisher.setClock(...seen)
    },
    forget: () => subscriptions.clear(),
    subscriptions: () =>
      [...subscriptions.values()].map(({ id, endpoint, address }) => ({ id, endpoint, resource: address })),
    idle: core.idle,
    describe: () => ({
      node,
      label: publisher.label,
      url: host.origin,
      ready: core.ready,
      subscriptions: publisher.subscriptions(),
      clocks: model.clocks(),
      faults: { ...core.faults.describe(), refuse: !host.listening },
      delivered: core.delivered,
    }),
  }
  return publisher
}

function covers(address: Address, resource: Resource, clock: Clock): boolean {
  const isInstance =
    address.instance === undefined || isWholeNode(clock) || address.instance === clock.instance
  return isInstance && isAt(resource.path, address.path)
}

type Instances = Required<NonNullable<StarlingXOptions['instances']>>

const listOf = {
  'lock-state': 'ptp',
  'clock-class': 'ptp',
  'gnss-sync-status': 'ts',
  'synce-lock-state': 'synce',
  'synce-clock-quality': 'synce',
} as const

/** Gives a change the first instance of its kind where it names none, and one config to all. */
function named(change: ClockChange, instances: Instances): ClockChange {
  if (change.kind === 'os-clock-sync-state') return { ...change, config: 'phc-inst1' }
  const instance = change.instance ?? instances[listOf[change.kind]][0] ?? 'ptp-inst1'
  return { ...change, instance, config: instance }
}

function unknownClocks(instances: Instances): readonly ClockChange[] {
  const unknown = { state: 'UNKNOWN', offset: 0 }
  return [
    ...instances.ts.map((instance): ClockChange => ({ kind: 'gnss-sync-status', instance, ...unknown })),
    ...instances.ptp.map((instance): ClockChange => ({ kind: 'lock-state', instance, ...unknown })),
    ...instances.ptp.map((instance): ClockChange => ({ kind: 'clock-class', instance, clockClass: 248 })),
    { kind: 'os-clock-sync-state', ...unknown } satisfies ClockChange,
    ...instances.synce.map((instance): ClockChange => ({ kind: 'synce-lock-state', instance, ...unknown })),
  ].map((change) => named(change, instances))
}

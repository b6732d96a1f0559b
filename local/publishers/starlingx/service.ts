import type { Clock } from '../clocks/clock.ts'
import { createClockModel } from '../clocks/model.ts'
import type { Core } from '../core.ts'
import type { ClockChange } from '../clocks/clock.ts'
import { type EventParts, event, isWholeNode, legacyInstance, malformedTime } from './events.ts'
import { type Address, isAt, type Resource, resources } from './resources.ts'

export interface Instances {
  readonly ptp: readonly string[]
  readonly ts: readonly string[]
  readonly synce: readonly string[]
}

export interface Published {
  readonly node: string
  readonly resource: Resource
  readonly body: string
  /** Nanoseconds. */
  readonly at: bigint
}

/** The notification service of one node: its clocks, and how it speaks of them. */
export interface Service {
  readonly node: string
  /** Begins to give start values, all of one moment, until {@link Service.ready}. */
  start(): void
  /** The clocks have been looked at: publishes each that is known. */
  ready(): void
  change(change: ClockChange): void
  /** The body of a pull; undefined where the tree has nothing at this address. */
  currentState(address: Address): unknown
  /** The bodies of the initial notifications of an address: all items at or below it. */
  initial(address: Address): readonly string[]
  clocks(): readonly Clock[]
  replay(): readonly ClockChange[]
}

export interface ServiceParts {
  readonly node: string
  readonly core: Core
  readonly instances: Instances
  readonly format: 'standard' | 'legacy'
  readonly utcOffsetMinutes: number
  readonly publish: (one: Published) => void
}

export function createService(parts: ServiceParts): Service {
  const { node, core, instances, format, utcOffsetMinutes } = parts
  const model = createClockModel({ syncState: 'worst-of', announcesEveryGnssState: true })
  /** When each clock last changed, in nanoseconds. */
  const changed = new Map<string, bigint>()
  const keyOf = (clock: Clock) => `${clock.kind} ${isWholeNode(clock) ? '' : clock.instance}`
  let startedAt = 0n
  let starting = false
  let newest = 0n

  /** No two share a microsecond. */
  function stamp(): bigint {
    const now = core.now()
    newest = now / 1000n === newest / 1000n ? newest + 1000n : now
    return newest
  }

  /** A clock and when it last changed. Classes and qualities that are not known have the time of the question. */
  type Item = { readonly clock: Clock; readonly resource: Resource; readonly at: bigint }

  function itemsAt(address: Address): readonly Item[] {
    const items = resources.flatMap((resource) =>
      clocksOf(resource).map((clock) => ({ clock, resource, at: timeOf(clock) })),
    )
    return items.filter(({ clock, resource }) => covers(address, resource, clock))
  }

  function clocksOf({ kind }: Resource): readonly Clock[] {
    return starting ? startClocks(instances).filter((clock) => clock.kind === kind) : model.readings(kind)
  }

  function timeOf(clock: Clock): bigint {
    const isNumber = clock.kind === 'clock-class' || clock.kind === 'synce-clock-quality'
    if (starting) return isNumber ? stamp() : startedAt
    return changed.get(keyOf(clock)) ?? (isNumber ? stamp() : startedAt)
  }

  function make({ clock, resource, at }: Item, asked: string, as: EventParts['as']) {
    // SyncE and start values have local times, all else UTC (by the code of the service).
    const isLocal = starting || clock.kind.startsWith('synce-')
    const time = malformedTime(at, isLocal ? utcOffsetMinutes : 0)
    return event({ clock, resource, id: core.uuid(), time, node: asked, as })
  }

  /** Legacy pushes and initial notifications are maps by kind, pushes of GNSS apart. */
  function bodyOf(item: Item, as: 'push' | 'initial', asked = node): string {
    const one = make(item, asked, as)
    const isPlain = format === 'standard' || (as === 'push' && item.clock.kind === 'gnss-sync-status')
    return JSON.stringify(isPlain ? one : { [item.resource.legacyKey]: [one] })
  }

  function announce(clock: Clock) {
    const resource = resources.find(({ kind }) => kind === clock.kind)
    if (!resource) return
    const at = stamp()
    changed.set(keyOf(clock), at)
    parts.publish({ node, resource, body: bodyOf({ clock, resource, at }, 'push'), at })
  }

  function change(one: ClockChange) {
    const announced = model.change(named(one, instances))
    // What is not announced has changed all the same, for pulls.
    if (announced.length === 0) {
      const clock = model.readings(one.kind).find(({ instance }) => instance === (one.instance ?? instance))
      if (clock) changed.set(keyOf(clock), stamp())
    }
    announced.forEach(announce)
  }

  return {
    node,
    start() {
      starting = true
      startedAt = stamp()
      changed.clear()
      model.clear()
      for (const one of unknownClocks(instances)) model.change(one)
    },
    ready() {
      starting = false
      startedAt = stamp()
    },
    change,
    currentState(address) {
      const found = itemsAt(address)
      const events = found.map((item) => ({ clock: item.clock, event: make(item, address.node, 'pull') }))
      if (format === 'legacy') {
        return Object.fromEntries(events.map((item) => [legacyInstance(item.clock), item.event]))
      }
      const [only] = events
      const isOne = events.length === 1 && only?.clock.kind === 'sync-state'
      return isOne ? only.event : events.map((item) => item.event)
    },
    initial: (address) =>
      itemsAt(address).map((item) => bodyOf(item, 'initial', address.node === '*' ? '*' : node)),
    clocks: model.clocks,
    replay: model.replay,
  }
}

function covers(address: Address, resource: Resource, clock: Clock): boolean {
  const isInstance =
    address.instance === undefined || isWholeNode(clock) || address.instance === clock.instance
  return isInstance && isAt(resource.path, address.path)
}

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
  const list = listOf[change.kind]
  const instance = change.instance ?? instances[list][0] ?? `${list}-inst1`
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
    ...instances.synce.map(
      (instance): ClockChange => ({ kind: 'synce-clock-quality', instance, ql: 255, extQl: 0 }),
    ),
  ].map((change) => named(change, instances))
}

/** What the service gives of each clock before it has looked at any. */
function startClocks({ ptp, ts, synce }: Instances): readonly Clock[] {
  const none = { config: '', offset: '0', clockClass: '248', gpsFix: '0', ql: '255', extQl: '255' }
  const each = (kind: Clock['kind'], list: readonly string[], state?: string) =>
    list.map((instance): Clock => ({ kind, instance, ...none, ...(state === undefined ? {} : { state }) }))
  return [
    ...each('gnss-sync-status', ts, 'FAILURE-NOFIX'),
    ...each('synce-lock-state', synce, 'UNKNOWN'),
    ...each('synce-clock-quality', synce),
    ...each('clock-class', ptp),
    ...each('lock-state', ptp, 'FREERUN'),
    ...each('os-clock-sync-state', ['CLOCK_REALTIME'], 'FREERUN'),
    ...each('sync-state', ['node'], 'FREERUN'),
  ]
}

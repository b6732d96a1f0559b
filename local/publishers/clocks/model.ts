import type { Clock, ClockChange, Figure, Kind } from './clock.ts'
import { createSyncState, type SyncStateRule } from './sync-state.ts'

export interface ClockModel {
  /** Takes in a change and returns what is to be announced because of it, in order. */
  change(change: ClockChange): readonly Clock[]
  /** All clocks of a kind; for sync-state one, once there is a state. */
  readings(kind: Kind): readonly Clock[]
  /** Whether any log line was seen at all. */
  readonly started: boolean
  clocks(): readonly Clock[]
  /** The changes that rebuild the model from nothing, as replayed logs do. */
  replay(): readonly ClockChange[]
  clear(): void
}

export interface ClockModelOptions {
  readonly syncState: SyncStateRule
  /** main keeps its last sync-state over a restart (protocol.md §4.3). */
  readonly remembersSyncState?: boolean
  /** StarlingX announces every change of the GNSS word, not only to and from SYNCHRONIZED. */
  readonly announcesEveryGnssState?: boolean
  /** 4.14 to 4.18 pull GNSS at `master` until a lock-state has told the port's alias (protocol.md §5). */
  readonly learnsAliasFromLockState?: boolean
}

/** The state of all clocks of one node, and what a publisher announces when it changes. */
export function createClockModel(options: ClockModelOptions): ClockModel {
  const clocks = new Map<string, Clock>()
  const syncState = createSyncState(options.syncState)
  const configsWithAlias = new Set<string>()

  const ofKind = (kind: Kind) => [...clocks.values()].filter((clock) => clock.kind === kind)

  function put(clock: Clock) {
    clocks.set(`${clock.kind} ${clock.config} ${clock.instance}`, clock)
  }

  return {
    get started() {
      return clocks.size > 0
    },
    change(change) {
      const next = clockOf(change, find(change))
      // A clock is `master` only until the alias of its port is known (protocol.md §5).
      if (next.instance !== 'master') clocks.delete(`${next.kind} ${next.config} master`)
      const before = find(change)
      if (next.kind === 'lock-state' && next.instance !== 'master') configsWithAlias.add(next.config)
      if (change.announce === 'only') return withSyncState(next, [...clocks.values(), next])
      put(next)
      if (next.kind === 'synce-lock-state') putMissingQuality(next)
      const announced =
        change.announce === 'always' || (change.announce !== 'never' && isNews(before, next, options))
          ? [next]
          : []
      return announced.length === 0 ? [] : withSyncState(next, [...clocks.values()])
    },
    readings(kind) {
      if (kind === 'gnss-sync-status' && options.learnsAliasFromLockState) {
        return ofKind(kind).map((c) => (configsWithAlias.has(c.config) ? c : { ...c, instance: 'master' }))
      }
      if (kind !== 'sync-state') return ofKind(kind)
      const reading = syncState.reading([...clocks.values()].filter(countsForSyncState))
      return reading ? [reading] : []
    },
    clocks: () => [...clocks.values()],
    replay: () => [...clocks.values()].map(changeOf),
    clear() {
      clocks.clear()
      configsWithAlias.clear()
      if (!options.remembersSyncState) syncState.clear()
    },
  }

  function withSyncState(changed: Clock, all: readonly Clock[]): readonly Clock[] {
    if (changed.state === undefined || !countsForSyncState(changed)) return [changed]
    const sync = syncState.after(changed, all.filter(countsForSyncState))
    return sync ? [changed, sync] : [changed]
  }

  function find(change: ClockChange) {
    return clocks.get(`${change.kind} ${configOf(change)} ${instanceOf(change)}`)
  }

  function putMissingQuality(clock: Clock) {
    const change: ClockChange = {
      kind: 'synce-clock-quality',
      instance: clock.instance,
      config: clock.config,
    }
    if (!find(change)) put(clockOf({ ...change, ql: 0, extQl: 255 }, undefined))
  }
}

function isNews(before: Clock | undefined, next: Clock, options: ClockModelOptions): boolean {
  switch (next.kind) {
    case 'clock-class':
      return next.clockClass !== before?.clockClass
    case 'synce-clock-quality':
      return next.ql !== before?.ql || next.extQl !== before.extQl
    case 'gnss-sync-status':
      if (options.announcesEveryGnssState) return next.state !== before?.state
      return before === undefined || (next.state === 'SYNCHRONIZED') !== (before.state === 'SYNCHRONIZED')
    default:
      return next.state !== undefined && next.state !== before?.state
  }
}

function countsForSyncState(clock: Clock) {
  return clock.kind === 'lock-state' || clock.kind === 'os-clock-sync-state'
}

const configOf = (change: ClockChange) => change.config ?? 'ptp4l.0.config'

const usualInstance = {
  'lock-state': 'ens5fx/master',
  'os-clock-sync-state': 'CLOCK_REALTIME',
  'clock-class': 'ens5fx/master',
  'gnss-sync-status': 'ens7fx/master',
  'synce-lock-state': 'synce1/ens7f0',
  'synce-clock-quality': 'synce1/ens7f0',
}

const instanceOf = (change: ClockChange) => change.instance ?? usualInstance[change.kind]

function clockOf(change: ClockChange, before: Clock | undefined): Clock {
  const text = (figure: Figure | undefined, old: string | undefined) => String(figure ?? old ?? 0)
  const state = change.state ?? before?.state
  return {
    kind: change.kind,
    instance: instanceOf(change),
    config: configOf(change),
    ...(state === undefined ? {} : { state }),
    offset: text(change.offset, before?.offset),
    clockClass: text(change.clockClass, before?.clockClass),
    gpsFix: text(change.gpsFix, before?.gpsFix),
    ql: text(change.ql, before?.ql),
    extQl: text(change.extQl, before?.extQl),
  }
}

function changeOf(clock: Clock): ClockChange {
  const { kind, ...rest } = clock
  // Only clocks that a change made are in the map, and no change makes a sync-state.
  if (kind === 'sync-state') throw new Error('sync-state is derived')
  return { kind, ...rest }
}

import type { Clock } from './clock.ts'

/**
 * How a release derives sync-state from its clocks (protocol.md §5):
 * `worst-of` (4.19 and later) pushes the worst of all, once per change;
 * `raw` (4.16 to 4.18) pushes the state of whichever clock changed, but keeps the worst;
 * `raw-at-clock` (4.14, 4.15) pushes the last single state, on the address of that clock.
 * A pull shows the worst of all in every release.
 */
export type SyncStateRule = 'worst-of' | 'raw' | 'raw-at-clock'

export const syncStateInstance = 'sync/sync-status/sync-state'

export interface SyncState {
  /** The sync-state to announce after `changed`, if any. `clocks` holds its new state already. */
  after(changed: Clock, clocks: readonly Clock[]): Clock | undefined
  reading(clocks: readonly Clock[]): Clock | undefined
  clear(): void
}

export function createSyncState(rule: SyncStateRule): SyncState {
  let kept: string | undefined

  return {
    after(changed, clocks) {
      const state = rule === 'worst-of' ? worst(clocks) : changed.state
      const isNews = state !== kept
      kept = rule === 'raw-at-clock' ? state : worst(clocks)
      if (!isNews || state === undefined) return undefined
      return syncClock(state, rule === 'raw-at-clock' ? changed.instance : syncStateInstance)
    },
    reading(clocks) {
      const state = worst(clocks)
      return state === undefined ? undefined : syncClock(state, syncStateInstance)
    },
    clear() {
      kept = undefined
    },
  }
}

const badness = ['LOCKED', 'UNKNOWN', 'HOLDOVER', 'FREERUN']

function worst(clocks: readonly Clock[]): string | undefined {
  const states = clocks.flatMap((clock) => clock.state ?? [])
  return states.sort((a, b) => badness.indexOf(b) - badness.indexOf(a))[0]
}

function syncClock(state: string, instance: string): Clock {
  return {
    kind: 'sync-state',
    instance,
    config: '',
    state,
    offset: '0',
    clockClass: '0',
    gpsFix: '0',
    ql: '0',
    extQl: '0',
  }
}

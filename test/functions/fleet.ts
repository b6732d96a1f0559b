import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '#functions/status/shown.ts'
import { silentLog } from '#shared/log.ts'
import { type ClockState, emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { createStore, type Store } from '#shared/state/store/store.ts'
import { isoTime } from '#shared/time.ts'
import { openPatiently } from '../support/patient.ts'

/** The defaults of the configuration. */
export const defaultShown: Settings = { ...defaultSettings, holdoverBudgetMs: 14_400_000 }

/** A clock that was confirmed at `now`, with what a test says of it. */
export function clockAt(
  now: number,
  kind: string,
  instance: string,
  fields: Partial<ClockState>,
): ClockState {
  const at = isoTime(now)
  return {
    kind,
    instance,
    state: 'LOCKED',
    metrics: {},
    since: at,
    observedAt: at,
    receivedAt: at,
    confirmedAt: at,
    via: 'push',
    contested: false,
    retired: false,
    pushes: [],
    ...fields,
  }
}

/** A node whose lock and OS clocks were confirmed LOCKED at `now`. */
export function lockedNode(node: string, now: number, fields: Partial<NodeState> = {}): NodeState {
  return {
    ...emptyNodeState(node, `incarnation of ${node}`),
    clocks: [
      clockAt(now, 'lock-state', 'ens5fx/master', { metrics: { offset: '-2' } }),
      clockAt(now, 'os-clock-sync-state', 'CLOCK_REALTIME', { metrics: { offset: '5' } }),
    ],
    ...fields,
  }
}

export async function openStore(url: string, historyPerNode = 50): Promise<Store> {
  return createStore(await openPatiently(url), { historyPerNode, log: silentLog })
}

/** Puts a document into a store, with as many log entries as are wanted. */
export async function put(store: Store, state: NodeState, entries = 0): Promise<void> {
  await store.update(state.node, () => ({
    state,
    entries: Array.from({ length: entries }, (_, i) => ({
      type: 'changed',
      kind: 'lock-state',
      instance: 'ens5fx/master',
      from: 'HOLDOVER',
      to: 'LOCKED',
      at: `2026-11-23T03:48:28.48930200${i % 10}Z`,
      via: 'push',
      overall: 'LOCKED',
    })),
    result: undefined,
  }))
}

/** A folder of the test's own; `remove` when it is done. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'ptp-watch-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

import { openDriver } from '#shared/state/store/open.ts'
import { readConfig } from '#shared/config/index.ts'
import { silentLog } from '#shared/log.ts'
import type { NodeState } from '#shared/state/document.ts'
import { type CloudEvent, createEvent } from './event.ts'

/** A reading of a clock, as the adapter of another cluster puts it into a Broker. */
export type Reading = {
  readonly node: string
  readonly clock: string
  readonly state: 'LOCKED' | 'FREERUN'
  readonly at: string
}

/**
 * Two readings of each clock, a second apart; every second clock gets better. `age`: milliseconds since the first
 * ones. Whatever the order in which they come, the later one stands.
 */
export function readings(nodes: readonly string[], clocks: number, age = 10_000): Reading[] {
  const states = ['LOCKED', 'FREERUN'] as const
  const begin = Date.now() - age
  return [0, 1].flatMap((turn) =>
    Array.from({ length: clocks }, (_, number) => number).flatMap((number) =>
      nodes.map((node): Reading => {
        const at = new Date(begin + turn * 1000 + number).toISOString()
        const state = states[(turn + number) % 2] ?? 'FREERUN'
        return { node, clock: `ens${number}fx/master`, state, at }
      }),
    ),
  )
}

export function eventOf({ node, clock, state, at }: Reading): CloudEvent {
  const attributes = {
    id: `${node} ${clock} ${at}`,
    source: `/elsewhere/${node}`,
    type: 'event.sync.ptp-status.ptp-state-change',
    time: at,
    partitionkey: node,
  }
  const value = {
    ResourceAddress: `/cluster/node/${node}/${clock}`,
    data_type: 'notification',
    value_type: 'enumeration',
    value: state,
  }
  return createEvent(attributes, { version: '1.0', values: [value] })
}

/** All documents of a store, read by ourselves. */
export async function documentsIn(stateUrl: string): Promise<NodeState[]> {
  const config = await readConfig({ STATE_URL: stateUrl })
  const driver = await openDriver(config.stateUrl, { log: silentLog, ...config.stateOptions })
  try {
    const { nodes } = await driver.list({ limit: 500 })
    return nodes.map(({ state }) => state)
  } finally {
    await driver.close()
  }
}

/** Readings that the documents do not show as they should, in words; empty where all are there. */
export function notShown(documents: readonly NodeState[], sent: readonly Reading[]): string[] {
  const latest = new Map<string, Reading>()
  for (const one of sent) {
    const key = `${one.node} ${one.clock}`
    if ((latest.get(key)?.at ?? '') < one.at) latest.set(key, one)
  }
  return [...latest.values()].flatMap(({ node, clock, state, at }) => {
    const shown = documents
      .find((one) => one.node === node)
      ?.clocks.find(({ kind, instance }) => kind === 'lock-state' && instance === clock)
    const good = shown?.state === state && shown.observedAt === at
    return good ? [] : [`${node} ${clock}: ${shown?.state} of ${shown?.observedAt}, not ${state} of ${at}`]
  })
}

/** What the documents count, together. */
export function counted(documents: readonly NodeState[]): Record<'received' | 'duplicate' | 'late', number> {
  const sum = (name: 'received' | 'duplicate' | 'late') =>
    documents.reduce((total, { counters }) => total + counters[name], 0)
  return { received: sum('received'), duplicate: sum('duplicate'), late: sum('late') }
}

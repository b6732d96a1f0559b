import { readConfig } from '#shared/config/index.ts'
import type { LogEntry } from '#shared/state/document.ts'
import type { Env } from '../../runtime/processes.ts'
import { openPatiently } from '../../support/patient.ts'
import type { Arrival } from '../../support/sink.ts'
import type { Sent } from './load.ts'

/** A node as the store has it. */
export type Held = {
  readonly node: string
  readonly incarnation: string
  readonly received: number
  readonly log: readonly LogEntry[]
}

/** What the store of an environment has of these nodes; a node of which it has nothing is left out. */
export async function heldIn(env: Env, nodes: readonly string[]): Promise<Held[]> {
  const { stateUrl, stateOptions } = await readConfig(env)
  const driver = await openPatiently(stateUrl, stateOptions)
  try {
    const found: Held[] = []
    for (const node of nodes) {
      const state = (await driver.read(node))?.state
      if (state === undefined) continue
      const log = await driver.log(node, { after: 0, limit: 100_000 })
      found.push({ node, incarnation: state.incarnation, received: state.counters.received, log })
    }
    return found
  } finally {
    await driver.close()
  }
}

/** Those of the notifications that the store does not have, in words; empty where nothing is lost. */
export function lostFrom(held: readonly Held[], sent: readonly Sent[]): string[] {
  return sent.flatMap((one) => {
    const log = held.find(({ node }) => node === one.node)?.log ?? []
    const ofClock = log.filter(
      ({ kind, instance, at }) => kind === one.kind && instance === one.instance && at !== undefined,
    )
    if (ofClock.some(({ at, to }) => at === one.at && to === one.to)) return []
    // A word that the clock had already is no transition.
    const before = ofClock.filter(({ at = '' }) => at < one.at).at(-1)
    if (one.kind === 'lock-state' && before?.to === one.to) return []
    return [`${one.node} ${one.kind} ${one.to} at ${one.at}, answered ${one.outcome}`]
  })
}

/** Whatever a log must never be, in words: with gaps, or with one transition twice. */
export function faultsOf({ node, log }: Held): string[] {
  const gaps = log.flatMap(({ seq }, index) => (seq === index + 1 ? [] : [`${node}: ${seq} at ${index + 1}`]))
  const seen = new Set<string>()
  const twice = log.flatMap(({ type, kind, instance, at, to }) => {
    if (type !== 'changed' || at === undefined) return []
    const name = `${kind} ${instance} ${at} ${to}`
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [`${node}: ${name} is there twice`]
  })
  return [...gaps, ...twice]
}

/** What the sink is done with: it has taken it, or said that it never will. */
const isDone = ({ status = 0 }: Arrival) => (status >= 200 && status < 300) || status === 400

/**
 * What is wrong with what the sink got of a node, in words: an entry that never arrived, first arrivals out of order,
 * an id that is not the same each time or that two entries share, an event that says something else than its entry.
 */
export function wrongAtSink({ node, log }: Held, arrivals: readonly Arrival[]): string[] {
  const ofNode = arrivals.filter(({ event }) => event.node === node)
  const wrong: string[] = []
  const idOf = new Map<number, string>()
  for (const { event } of ofNode) {
    const { seq } = event.data
    if ((idOf.get(seq) ?? event.id) !== event.id) wrong.push(`${node}: ${seq} has two ids`)
    idOf.set(seq, event.id)
    const { node: _, ...entry } = event.data
    const stored = log.find((one) => one.seq === seq)
    if (JSON.stringify(sorted(entry)) !== JSON.stringify(sorted(stored ?? {}))) {
      wrong.push(`${node}: ${seq} arrived as ${JSON.stringify(entry)}, and is ${JSON.stringify(stored)}`)
    }
  }
  if (new Set(idOf.values()).size !== idOf.size) wrong.push(`${node}: two entries share an id`)
  const firsts = [...new Set(ofNode.filter(isDone).map(({ event }) => event.data.seq))]
  if (firsts.some((seq, index) => seq < (firsts[index - 1] ?? 0))) {
    wrong.push(`${node}: first arrivals in the order ${firsts.join(' ')}`)
  }
  const arrived = new Set(firsts)
  for (const { seq } of log) if (!arrived.has(seq)) wrong.push(`${node}: ${seq} never arrived`)
  return wrong
}

function sorted(entry: object): [string, unknown][] {
  return Object.entries(entry).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

import {
  type ClockChange,
  createLinuxptpDaemon,
  createRedHatV1,
  createRedHatV2,
  createStarlingX,
  type Publisher,
} from '#local/publishers/index.ts'
import { eventually, type System } from './system.ts'
import { shownOf, truthOf } from './truth.ts'
import type { View } from './view.ts'

export const NODE = 'worker-0.site-a.example.com'

/** Nanoseconds since the epoch that never go back: the clock of all publishers of a test, which it can read too. */
export const publishersClock: () => bigint = (() => {
  const base = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint()
  return () => base + process.hrtime.bigint()
})()

const usual = { warmUpMs: 0, now: publishersClock }

export const redHatV2 = (node: string = NODE, more: { port?: number } = {}): Publisher =>
  createRedHatV2({ ...usual, ...more, node, release: 'main' })
export const linuxptpDaemon = (node = NODE, more: { port?: number } = {}): Publisher =>
  createLinuxptpDaemon({ ...usual, ...more, node })
/** A stuck sidecar makes the publisher behind it time out fast. */
export const redHatV1 = (node = NODE): Publisher =>
  createRedHatV1({ ...usual, node, release: '4.14', hopTimeoutMs: 50 })
export const starlingX = (node = 'controller-0'): Publisher => createStarlingX({ ...usual, node })

/**
 * One publisher of each dialect, for one system: they wait side by side, and the processes are started once. What a
 * test says of one it says of each, by {@link forEach}.
 */
export const oneOfEach = (): readonly [v2: Publisher, v1: Publisher, starlingX: Publisher] => [
  redHatV2('worker-0.site-a.example.com'),
  redHatV1('worker-1.site-a.example.com'),
  starlingX('controller-0'),
]

/** Says the same of each publisher, at the same time; an error says of which it is. */
export async function forEach(
  publishers: readonly Publisher[],
  say: (publisher: Publisher) => Promise<void>,
): Promise<void> {
  const said = await Promise.allSettled(publishers.map(say))
  const errors = said.flatMap((each, i) =>
    each.status === 'rejected'
      ? [new Error(`${publishers[i]?.dialect}: ${each.reason}`, { cause: each.reason })]
      : [],
  )
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors, errors.join('\n'))
}

/** The clocks by which a node is judged, and its class, in one state. */
export function clocksIn(state: 'LOCKED' | 'FREERUN'): readonly ClockChange[] {
  return [
    { kind: 'lock-state', state, offset: 2 },
    { kind: 'os-clock-sync-state', state, offset: 3 },
    { kind: 'clock-class', clockClass: state === 'LOCKED' ? 6 : 248 },
  ]
}

/** Subscribes and polls until the store shows what is true of a node. */
export async function steady(system: System, publisher: Publisher): Promise<View> {
  await system.tick()
  return eventually(async () => {
    const node = await system.node(publisher)
    if (!holds(node, publisher)) {
      await system.tick()
      throw new Error(
        `${JSON.stringify(shownOf(node))} is shown, ${JSON.stringify(truthOf(publisher))} is true`,
      )
    }
    return node
  })
}

function holds(node: View, publisher: Publisher): boolean {
  const shown = shownOf(node)
  return Object.entries(truthOf(publisher)).every(([clock, value]) => shown[clock] === value)
}

/** The times of its events that a publisher's consumers took, oldest first, by what the bodies contain. */
export function acceptedTimes(publisher: Publisher, ...contents: readonly string[]): string[] {
  return publisher.deliveries
    .filter(({ body, outcome, cause }) => {
      return cause === 'event' && outcome === 204 && contents.every((text) => body?.includes(text))
    })
    .map(({ body }) => /"time":"([^"]+)"/.exec(body ?? '')?.[1] ?? '')
}

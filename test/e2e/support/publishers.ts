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

export const everyDialect: readonly { readonly name: string; readonly create: () => Publisher }[] = [
  { name: 'v2', create: redHatV2 },
  { name: 'v1', create: redHatV1 },
  { name: 'StarlingX', create: starlingX },
]

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

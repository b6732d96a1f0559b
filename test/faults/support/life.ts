import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, vi } from 'vitest'
import type { ClockChange, Publisher } from '#local/publishers/index.ts'
import { eventOf } from '#shared/broker/event.ts'
import type { System } from '../../e2e/support/system.ts'
import { shownOf, truthOf } from '../../e2e/support/truth.ts'
import type { TestSink } from '../../support/sink.ts'
import { faultsOf, heldIn, wrongAtSink } from './audit.ts'

/** Makes the clocks of simulated publishers change steadily. */
export type Life = {
  /** Resolves when so many more notifications were acknowledged to each of the publishers. */
  more(count: number): Promise<void>
  /** Ends it; what was still to be delivered is, or has failed, by then. */
  stop(): Promise<void>
}

const WORDS = ['LOCKED', 'HOLDOVER', 'FREERUN'] as const

/** Lock and OS clocks go through all words, and the class never is what it was. */
export function everythingChanges(number: number): ClockChange[] {
  const state = WORDS[number % WORDS.length] ?? 'LOCKED'
  return [...classChanges(number), { kind: 'lock-state', state, offset: number }]
}

/** Nothing happens by which a node is judged. */
export function classChanges(number: number): ClockChange[] {
  return [{ kind: 'clock-class', clockClass: 100 + number }]
}

/**
 * Changes the clocks of each of the publishers every `everyMs` milliseconds, for the length of one test. Each change
 * waits until what came before it is delivered: on a slow machine they would pile up.
 */
export function startLife(
  publishers: readonly Publisher[],
  { change = everythingChanges, everyMs = 50 }: { change?: typeof everythingChanges; everyMs?: number } = {},
): Life {
  const ended = new AbortController()
  const live = async () => {
    for (let number = 0; !ended.signal.aborted; number += 1) {
      for (const publisher of publishers) publisher.setClock(...change(number))
      await Promise.all([pause(everyMs), ...publishers.map((publisher) => publisher.idle())])
    }
  }
  const living = live()
  const stop = async () => {
    ended.abort()
    await living
    await Promise.all(publishers.map((publisher) => publisher.idle()))
  }
  onTestFinished(stop)
  return {
    async more(count) {
      const wanted = publishers.map((publisher) => acknowledgedBy(publisher) + count)
      await vi.waitFor(() => {
        for (const [index, publisher] of publishers.entries()) {
          expect(acknowledgedBy(publisher)).toBeGreaterThanOrEqual(wanted[index] ?? 0)
        }
      }, WAIT)
    },
    stop,
  }
}

/** How many of a publisher's notifications were acknowledged; it remembers the newest 1,000. */
export function acknowledgedBy({ deliveries }: Publisher): number {
  return deliveries.filter(({ cause, outcome }) => cause === 'event' && outcome === 204).length
}

/**
 * Fails the test unless the store shows what is true after two more polls a settle time apart, has counted all that
 * was acknowledged, and the sink has every entry of every log.
 */
export async function proveTruth(
  publishers: readonly Publisher[],
  system: System,
  sink: TestSink,
  { counted = true }: { counted?: boolean } = {},
): Promise<void> {
  await vi.waitFor(async () => {
    await system.tick()
    for (const publisher of publishers) {
      expect(shownOf(await system.node(publisher)), publisher.node).toMatchObject(truthOf(publisher))
    }
  }, WAIT)
  await vi.waitFor(async () => {
    const held = await heldIn(
      system.env,
      publishers.map(({ node }) => node),
    )
    expect(held).toHaveLength(publishers.length)
    for (const [index, { node, incarnation, received, log }] of held.entries()) {
      const publisher = publishers[index]
      if (counted && publisher !== undefined)
        expect(received, node).toBeGreaterThanOrEqual(acknowledgedBy(publisher))
      // Documents that were lost had numbers of their own.
      const ids = new Set(log.map((entry) => eventOf(node, incarnation, entry).id))
      const arrivals = sink.arrivals.filter(({ event }) => ids.has(event.id))
      expect(wrongAtSink({ node, incarnation, received, log }, arrivals)).toEqual([])
    }
    expect(held.flatMap(faultsOf)).toEqual([])
  }, WAIT)
}

const WAIT = { timeout: 60_000, interval: 100 }

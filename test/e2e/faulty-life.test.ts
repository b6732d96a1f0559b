import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createFleet } from '#local/fleet.ts'
import type { Publisher } from '#local/publishers/index.ts'
import { startSystem, type System } from './support/system.ts'
import { overallTruthOf, shownOf, truthOf } from './support/truth.ts'

const STEPS = 150
const STEPS_BETWEEN_POLLS = 3
const SETTLE_MS = 300
const STALE_AFTER_MS = 6000

/** Whether a poll of this publisher can find out anything: it listens, is warm, and answers every pull. */
function isAnswering(publisher: Publisher): boolean {
  const { ready, faults } = publisher.describe()
  return ready && 'refuse' in faults && !faults.refuse && JSON.stringify(faults).includes('"currentState":{}')
}

/**
 * Watches for the one mistake that matters: a node shown LOCKED while a clock of it free-runs. For how long that may
 * be: until a poll that began a settle time later has ended; where no poll gets an answer, until it is stale.
 */
function createWatch(publishers: readonly Publisher[], system: System) {
  const wrongSince = new Map<Publisher, number>()
  const mistakes: string[] = []
  let looked = 0
  return {
    mistakes,
    /** How often a node was looked at while it was free-running. */
    looked: () => looked,
    /** After each step: what is true no more is forgotten. */
    stepped() {
      for (const publisher of publishers) {
        if (overallTruthOf(publisher) !== 'FREERUN') wrongSince.delete(publisher)
      }
    },
    async poll() {
      const answering = new Set(publishers.filter(isAnswering))
      const began = Date.now()
      await system.tick()
      const nodes = await system.nodes()
      const now = Date.now()
      for (const publisher of publishers) {
        const shown = nodes.find(({ node }) => node === publisher.node)
        if (overallTruthOf(publisher) !== 'FREERUN') continue
        looked += 1
        if (shown?.overall !== 'LOCKED') {
          wrongSince.delete(publisher)
          continue
        }
        const since = wrongSince.get(publisher)
        if (since === undefined) wrongSince.set(publisher, now)
        else if (answering.has(publisher) ? began - since >= SETTLE_MS : now - since >= STALE_AFTER_MS)
          mistakes.push(`${publisher.node} for ${now - since} ms`)
      }
    },
  }
}

test('a faulty life: FREERUN is never taken for LOCKED, and in the end the store knows the truth', async () => {
  const fleet = createFleet({ seed: 7, faults: true, warmUpMs: 200 })
  onTestFinished(() => fleet.close())
  await fleet.listen()
  const publishers = fleet.simulated
  const system = await startSystem(publishers, {
    SETTLE_SECONDS: String(SETTLE_MS / 1000),
    STALE_AFTER_SECONDS: String(STALE_AFTER_MS / 1000),
    LOG_LEVEL: 'info',
  })
  const subscribed = await system.run(['subscribe'])
  expect(subscribed, subscribed.err).toMatchObject({ code: 0 })

  const watch = createWatch(publishers, system)
  const lived: string[] = []
  for (let count = 1; count <= STEPS; count += 1) {
    const { node, what } = await fleet.step()
    lived.push(`${node} ${what}`)
    watch.stepped()
    if (count % STEPS_BETWEEN_POLLS === 0) await watch.poll()
  }
  expect(watch.mistakes, lived.join('\n')).toEqual([])
  expect(watch.looked()).toBeGreaterThan(0)

  for (const publisher of publishers) {
    await publisher.faults({ clear: true })
    publisher.becomeReady()
  }
  await Promise.all(publishers.map((publisher) => publisher.idle()))
  await system.tick()
  // Two polls a settle time apart are promised to be enough.
  await pause(SETTLE_MS)
  await system.tick()
  const nodes = await system.nodes()
  for (const publisher of publishers) {
    const node = nodes.find(({ node: name }) => name === publisher.node)
    expect(node === undefined ? {} : shownOf(node), `${publisher.node}\n${lived.join('\n')}`).toEqual(
      truthOf(publisher),
    )
    expect(node).toMatchObject({ overall: overallTruthOf(publisher), stale: false })
    expect(node?.publisher?.problem).toBeUndefined()
  }
})

import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createFleet } from '#local/fleet.ts'
import { createRandom, type Random } from '#local/life/random.ts'
import type { Publisher } from '#local/publishers/index.ts'
import { startSystem, type System } from './support/system.ts'
import { overallTruthOf, shownOf, truthOf } from './support/truth.ts'

const SEED = 7
const STEPS = 200
const STEPS_BETWEEN_POLLS = 2
const SETTLE_MS = 100
const STALE_AFTER_MS = 6000

/** Faults besides those of the fleet's own script, which has one at a time and is merciful. */
async function torment(random: Random, publisher: Publisher): Promise<string> {
  switch (random.pick(['drop', 'forget', 'set back', 'set right', 'reorder', 'restart'])) {
    case 'drop':
      await publisher.faults({ drop: 4 })
      return 'loses 4 notifications'
    case 'forget':
      publisher.forget()
      return 'forgets'
    case 'set back':
      await publisher.faults({ clockOffsetMs: -60_000 })
      return 'has its clock set back'
    case 'set right':
      await publisher.faults({ clockOffsetMs: 0 })
      return 'has its clock set right'
    case 'reorder':
      await publisher.faults({ reorder: 1, duplicate: 1 })
      return 'swaps and repeats'
    default:
      // One that is killed while it starts would lose the logs that it replays.
      if (publisher.describe().ready) await publisher.restart({ warmUpMs: 0 })
      return 'restarts at once'
  }
}

/** Whether a poll of this publisher can find out anything: it listens, is warm, and answers every pull. */
function isAnswering(publisher: Publisher): boolean {
  const { ready, faults } = publisher.describe()
  return ready && 'refuse' in faults && !faults.refuse && JSON.stringify(faults).includes('"currentState":{}')
}

/** Whether a node is shown better than it is: LOCKED, or in holdover while a clock of it free-runs. */
function isFlattered(shown: string | undefined, truth: string): boolean {
  if (truth === 'FREERUN') return shown === 'LOCKED' || shown === 'HOLDOVER'
  return truth === 'HOLDOVER' && shown === 'LOCKED'
}

/**
 * Watches for the one mistake that matters: a node that is shown better than it is. For how long that may be: until a
 * poll that began a settle time later has ended; where polls get no answer, until the node is stale.
 */
function createWatch(publishers: readonly Publisher[], system: System) {
  const wrongSince = new Map<Publisher, { truth: string; at: number }>()
  const mistakes: string[] = []
  let looked = 0
  return {
    mistakes,
    /** How often a node was looked at that was not in lock. */
    looked: () => looked,
    /** After each step: what is true no more is forgotten. */
    stepped() {
      for (const [publisher, { truth }] of wrongSince) {
        if (overallTruthOf(publisher) !== truth) wrongSince.delete(publisher)
      }
    },
    async poll() {
      const answering = new Set(publishers.filter(isAnswering))
      const began = Date.now()
      await system.tick()
      const nodes = await system.nodes()
      const now = Date.now()
      for (const publisher of publishers) {
        const truth = overallTruthOf(publisher)
        const shown = nodes.find(({ node }) => node === publisher.node)?.overall
        if (truth !== 'LOCKED') looked += 1
        if (!isFlattered(shown, truth)) {
          wrongSince.delete(publisher)
          continue
        }
        const since = wrongSince.get(publisher)
        if (since === undefined) wrongSince.set(publisher, { truth, at: now })
        else if (answering.has(publisher) ? began - since.at >= SETTLE_MS : now - since.at >= STALE_AFTER_MS)
          mistakes.push(`${publisher.node} was shown ${shown}, not ${truth}, for ${now - since.at} ms`)
      }
    },
  }
}

test('a faulty life: no node is ever shown better than it is, and in the end the store knows the truth', async () => {
  const fleet = createFleet({ seed: SEED, faults: true, warmUpMs: 200 })
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
  const random = createRandom(SEED)
  for (let count = 1; count <= STEPS; count += 1) {
    const victim = publishers[random.between(0, publishers.length - 1)]
    if (victim !== undefined && random.next() < 0.4)
      lived.push(`${victim.node} ${await torment(random, victim)}`)
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

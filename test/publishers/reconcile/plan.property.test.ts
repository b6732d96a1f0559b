import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import type { HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import { ownerOf, planOf, type Situation } from '#shared/publishers/reconcile/plan.ts'
import { kindOfAddress } from '#shared/events/kind.ts'

const callback = createCallback({
  url: 'http://ingest',
  secrets: ['the new secret of it', 'the old secret of it'],
})
const old = createCallback({ url: 'http://ingest', secrets: ['the old secret of it'] })

const NODES = ['n1', 'n2', 'gone']
const SUFFIXES = ['sync/ptp-status/lock-state', 'sync/ptp-status/clock-class', 'sync/sync-status/sync-state']
const ADDRESSES = NODES.flatMap((node) => SUFFIXES.map((suffix) => `/cluster/node/${node}/${suffix}`))
const ENDPOINTS = [
  ...NODES.flatMap((node) => [
    callback.endpointFor(node),
    old.endpointFor(node),
    `http://ingest/event/${node}`,
  ]),
  'http://ingest/event',
  'http://other/event',
  'http://other/event/n1',
  '',
]

const situations = fc
  .record({
    uniqueBy: fc.constantFrom('resource' as const, 'resource-and-endpoint' as const),
    listProves: fc.boolean(),
    wanted: fc.subarray(SUFFIXES),
    published: fc.subarray(SUFFIXES),
    ownName: fc.constantFrom('n1', undefined),
    held: fc.array(fc.tuple(fc.constantFrom(...ADDRESSES), fc.constantFrom(...ENDPOINTS)), { maxLength: 25 }),
  })
  .map(({ uniqueBy, listProves, wanted, published, ownName, held }): Situation => {
    const resources = wanted.map((suffix): Resource => {
      const address = `/cluster/node/n1/${suffix}`
      return { kind: kindOfAddress(address) ?? '', address }
    })
    const isPublished = ({ address }: Resource) => published.some((suffix) => address.endsWith(suffix))
    const all = held.map(([address, endpoint], i): HeldSubscription => ({ id: `${i}`, address, endpoint }))
    return {
      node: 'n1',
      facts: { uniqueBy, listProves },
      wanted: resources.filter(isPublished),
      unpublished: resources.filter((resource) => !isPublished(resource)).map(({ kind }) => kind),
      ownName,
      held: uniqueBy === 'resource' ? distinct(all) : all,
      callback,
      configured: new Set(['n1', 'n2']),
    }
  })

/** A v1 sidecar has one subscription for a resource. */
function distinct(held: readonly HeldSubscription[]): HeldSubscription[] {
  return held.filter((one, i) => held.findIndex(({ address }) => address === one.address) === i)
}

/** What a publisher holds after a plan was carried out. */
function carryOut(situation: Situation): HeldSubscription[] {
  let held = [...situation.held]
  planOf(situation).forEach((step, i) => {
    if (step.do === 'remove') held = held.filter(({ id }) => id !== step.subscription.id)
    if (step.do !== 'create') return
    const { address } = step.resource
    held = held.filter(({ id }) => id !== step.replaces?.id)
    if (situation.facts.uniqueBy === 'resource' && held.some((one) => one.address === address)) {
      throw new Error(`A sidecar would answer with what stands at ${address}`)
    }
    held.push({ id: `new-${i}`, address, endpoint: step.endpoint })
  })
  return held
}

test('whatever a publisher holds, after the plan every wanted resource that no stranger blocks is ours, once', () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const after = carryOut(situation)
      for (const { address } of situation.wanted) {
        const there = after.filter((held) => held.address === address)
        const ours = there.filter((held) => ownerOf(held, situation) !== 'foreign')
        const blocked = situation.facts.uniqueBy === 'resource' && there.length > ours.length
        expect(ours.map(({ endpoint }) => endpoint)).toEqual(blocked ? [] : [callback.endpointFor('n1')])
      }
    }),
  )
})

test('whatever a publisher holds, the plan is done after one run', () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const again = planOf({ ...situation, held: carryOut(situation) })
      expect(again.filter((step) => step.do !== 'keep' && step.do !== 'blocked')).toEqual([])
    }),
  )
})

test('whatever a publisher holds, no plan touches a foreign one or what another configured node wants', () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const untouchable = situation.held.filter(({ endpoint }) => {
        const read = callback.read(endpoint)
        return read === undefined || read.node === 'n2'
      })
      expect(carryOut(situation)).toEqual(expect.arrayContaining(untouchable))
      const removed = planOf({ ...situation, wanted: [], unpublished: [] }).map((step) =>
        step.do === 'remove' ? step.subscription : undefined,
      )
      expect(removed.filter((held) => held !== undefined && untouchable.includes(held))).toEqual([])
    }),
  )
})

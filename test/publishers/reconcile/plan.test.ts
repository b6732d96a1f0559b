import { expect, test } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import type { HeldSubscription } from '#shared/publishers/dialects/client.ts'
import { ownerOf, planOf, type Situation, type Step } from '#shared/publishers/reconcile/plan.ts'

const SECRETS = ['the new secret of the callback', 'the old secret of the callback']
const callback = createCallback({ url: 'http://ingest', secrets: SECRETS })
const OURS = callback.endpointFor('n1')
const OLD = createCallback({ url: 'http://ingest', secrets: SECRETS.slice(1) }).endpointFor('n1')
const FOREIGN = 'http://other/event'
const LOCK = '/cluster/node/n1/sync/ptp-status/lock-state'
const CLASS = '/cluster/node/n1/sync/ptp-status/clock-class'

const V2 = { uniqueBy: 'resource-and-endpoint', listProves: true } as const
const V1 = { uniqueBy: 'resource', listProves: false } as const

const held = (id: string, address: string, endpoint: string): HeldSubscription => ({
  id,
  address,
  endpoint,
})

function plan(changes: Partial<Situation>): string[] {
  const situation: Situation = {
    node: 'n1',
    facts: V2,
    wanted: [{ kind: 'lock-state', address: LOCK }],
    unpublished: [],
    ownName: 'n1',
    held: [],
    callback,
    configured: new Set(['n1', 'n2']),
    ...changes,
  }
  return planOf(situation).map(short)
}

function short(step: Step): string {
  switch (step.do) {
    case 'remove':
      return step.after === undefined
        ? `remove ${step.subscription.id}: ${step.why}`
        : `after ${step.after.kind} remove ${step.subscription.id}`
    case 'blocked':
      return `blocked ${step.resource.kind} by ${step.by.id}`
    case 'create':
      return `create ${step.resource.kind}${step.replaces === undefined ? '' : ` instead of ${step.replaces.id}`}`
    case 'keep':
      return `${step.refresh ? 'refresh' : 'keep'} ${step.resource.kind} ${step.id}`
  }
}

test.each<[string, Partial<Situation>, string[]]>([
  ['what is missing is created', {}, ['create lock-state']],
  ['what is there is kept', { held: [held('a', LOCK, OURS)] }, ['keep lock-state a']],
  [
    'v1: what is there is posted again',
    { facts: V1, held: [held('a', LOCK, OURS)] },
    ['refresh lock-state a'],
  ],
  [
    'one with an old token goes after its successor came',
    { held: [held('a', LOCK, OLD)] },
    ['create lock-state', 'after lock-state remove a'],
  ],
  [
    'v1: one with an old token goes once the sidecar has tried the new endpoint',
    { facts: V1, held: [held('a', LOCK, OLD)] },
    ['create lock-state instead of a'],
  ],
  [
    'an old token beside the new one goes',
    { held: [held('a', LOCK, OLD), held('b', LOCK, OURS)] },
    ['keep lock-state b', 'after lock-state remove a'],
  ],
  [
    'of two equal ones, as a race leaves them, the one with the lesser id stays',
    { held: [held('b', LOCK, OURS), held('a', LOCK, OURS)] },
    ['keep lock-state a', 'after lock-state remove b'],
  ],
  [
    'the same one stays in whichever order they are listed',
    { held: [held('a', LOCK, OURS), held('b', LOCK, OURS)] },
    ['keep lock-state a', 'after lock-state remove b'],
  ],
  [
    'one without a node in its endpoint, at an address of another node, is not ours to remove',
    { held: [held('a', '/cluster/node/n2/sync/ptp-status/clock-class', 'http://ingest/event')] },
    ['create lock-state'],
  ],
  [
    'one without a node in its endpoint, at an address without one, is ours',
    { held: [held('a', '/././sync/ptp-status/clock-class', 'http://ingest/event')] },
    ['remove a: not-wanted', 'create lock-state'],
  ],
  [
    'one of ours without a node in its endpoint is replaced',
    { held: [held('a', LOCK, 'http://ingest/event')] },
    ['create lock-state', 'after lock-state remove a'],
  ],
  [
    'ours that are not wanted go',
    { held: [held('a', CLASS, OURS)] },
    ['remove a: not-wanted', 'create lock-state'],
  ],
  [
    'ours of a kind that is not published just now stay',
    { unpublished: ['clock-class'], held: [held('a', CLASS, OURS)] },
    ['create lock-state'],
  ],
  [
    'ours of a kind that is not published just now go if their address is of another node',
    { unpublished: ['clock-class'], held: [held('a', '/./other/sync/ptp-status/clock-class', OURS)] },
    ['remove a: not-wanted', 'create lock-state'],
  ],
  [
    'ours at a wrong address go',
    { held: [held('a', '/cluster/node/wrong/sync/ptp-status/lock-state', OURS)] },
    ['remove a: not-wanted', 'create lock-state'],
  ],
  [
    'a foreign one is left alone',
    { held: [held('s', LOCK, FOREIGN), held('t', CLASS, FOREIGN)] },
    ['create lock-state'],
  ],
  [
    'v1: a foreign one stands in the way and is left alone',
    { facts: V1, held: [held('s', LOCK, FOREIGN)] },
    ['blocked lock-state by s'],
  ],
  [
    'v1: one without an endpoint is a stranger’s too',
    { facts: V1, held: [held('s', LOCK, '')] },
    ['blocked lock-state by s'],
  ],
  [
    'what another configured node wants of the same publisher is left alone',
    { held: [held('b', '/cluster/node/n2/sync/ptp-status/lock-state', callback.endpointFor('n2'))] },
    ['create lock-state'],
  ],
  [
    'what carries another configured node is left alone even at our address',
    { held: [held('b', LOCK, callback.endpointFor('n2'))] },
    ['create lock-state'],
  ],
  [
    'what a node that is configured no more left at our address goes',
    { held: [held('g', LOCK, callback.endpointFor('gone'))] },
    ['remove g: stale-node', 'create lock-state'],
  ],
  [
    'v1: what a node that is configured no more left at our address goes before the create',
    { facts: V1, ownName: undefined, held: [held('g', LOCK, callback.endpointFor('gone'))] },
    ['remove g: stale-node', 'create lock-state'],
  ],
  [
    'an address of a misnamed node goes where the publisher says what its name is',
    { held: [held('g', '/cluster/node/gone/sync/ptp-status/lock-state', callback.endpointFor('gone'))] },
    ['remove g: stale-node', 'create lock-state'],
  ],
  [
    'an address of another node stays where the publisher may serve that node too',
    {
      ownName: undefined,
      held: [held('g', '/./gone/sync/ptp-status/lock-state', callback.endpointFor('gone'))],
    },
    ['create lock-state'],
  ],
])('%s', (_, changes, expected) => {
  expect(plan(changes)).toEqual(expected)
})

test('two nodes behind one sidecar never take each other for strangers to be removed', () => {
  const configured = new Set(['n1', 'n2'])
  const all = ['n1', 'n2'].map((node) =>
    held(node, `/./${node}/sync/ptp-status/lock-state`, callback.endpointFor(node)),
  )
  for (const node of ['n1', 'n2']) {
    const situation = { node, ownName: undefined, callback, configured }
    expect(all.map((one) => [one.id, ownerOf(one, situation)])).toEqual(
      ['n1', 'n2'].map((id) => [id, id === node ? 'ours' : 'foreign']),
    )
  }
})

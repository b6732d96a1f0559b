import { expect, test } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening, startSystem } from '../../e2e/support/system.ts'
import { entriesOf, examine, startWatched } from './world.ts'

const REAL = 'worker-1.site-a.example.com'
const WRONG = 'worker-1'

async function started() {
  const [publisher] = await listening(createRedHatV1({ node: REAL, release: '4.18', warmUpMs: 0 }))
  publisher.setClock(...clocksIn('LOCKED'))
  const entries = entriesOf([publisher]).map((entry) => ({ ...entry, node: WRONG }))
  return { publisher, misnamed: { PUBLISHERS: JSON.stringify(entries) } }
}

test('v1: a wrong node name is named by the subscriptions that are there, and nothing is left behind', async () => {
  const { publisher, misnamed } = await started()
  const system = await startWatched([publisher])
  const before = publisher.subscriptions()
  expect(before).toHaveLength(5)
  const { one, code } = await examine(system, misnamed)
  expect(code).toBe(1)
  expect(one('subscriptions', { node: WRONG })).toMatchObject({
    status: 'failed',
    result: expect.stringContaining(REAL),
    fix: expect.stringContaining(`\`node\` to ${REAL}`),
  })
  expect(publisher.subscriptions()).toEqual(before)
})

test('v1: where there are none, one that is deleted again shows the name', async () => {
  const { publisher, misnamed } = await started()
  const system = await startSystem([publisher])
  const { one, code } = await examine(system, misnamed)
  expect(code).toBe(1)
  expect(one('callback', { node: WRONG })).toMatchObject({
    status: 'failed',
    result: expect.stringContaining(REAL),
    fix: expect.stringContaining(`\`node\` to ${REAL}`),
  })
  expect(publisher.subscriptions()).toEqual([])
})

test('v1: what the sidecar has in memory alone is told with how to fix it', async () => {
  const { publisher } = await started()
  const system = await startWatched([publisher])
  await system.tick()
  const removed = await system.run(['subscribe', '--remove'])
  expect(removed).toMatchObject({ code: 0, err: expect.stringContaining('until it restarts') })
  const again = await system.run(['subscribe'])
  expect(again).toMatchObject({ code: 0, err: expect.stringContaining('does not list them') })
  const { one } = await examine(system)
  expect(one('subscriptions', publisher)).toMatchObject({
    status: 'warning',
    result: expect.stringContaining('from memory'),
    fix: expect.stringContaining('Restart the sidecar'),
  })
  expect(one('callback', publisher).result).not.toContain('created the missing')
})

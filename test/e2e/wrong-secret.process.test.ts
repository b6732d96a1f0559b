import { expect, test } from 'vitest'
import { createServer } from 'node:http'
import { listen } from '../publishers/support/listen.ts'
import { clocksIn, forEach, oneOfEach, steady } from './support/publishers.ts'
import { listening, startSystem } from './support/system.ts'
import { clockOf } from './support/view.ts'

const OTHER = 'another secret of the same length'
const NEWER = 'a newer secret of the same length'

/** The functions over a publisher of each dialect, in lock and subscribed. */
async function started() {
  const publishers = await listening(...oneOfEach())
  for (const publisher of publishers) publisher.setClock(...clocksIn('LOCKED'))
  const system = await startSystem(publishers)
  for (const publisher of publishers) await steady(system, publisher)
  return { publishers, system }
}

test('a run with a wrong or missing secret changes no subscription, and says so', async () => {
  const { publishers, system } = await started()
  const before = publishers.map((publisher) => publisher.subscriptions())
  const runs = [
    [['subscribe'], ''],
    [['poll'], ''],
    [['poll'], `${NEWER},${OTHER}`],
  ] as const
  for (const [command, CALLBACK_SECRET] of runs) {
    const { code, err } = await system.run(command, { CALLBACK_SECRET })
    expect({ command, CALLBACK_SECRET, code }).toEqual({ command, CALLBACK_SECRET, code: 2 })
    expect(err).toContain('CALLBACK_SECRET is not')
    expect(publishers.map((publisher) => publisher.subscriptions())).toEqual(before)
  }
  // Pushes still come in, and polls have pulled all along.
  await forEach(publishers, async (publisher) => {
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
    await publisher.idle()
    expect(clockOf(await system.node(publisher), 'lock-state')).toMatchObject({
      state: 'FREERUN',
      via: 'push',
    })
  })
})

test('where ingest is away, or something else answers in its place, nothing is deleted', async () => {
  const { publishers, system } = await started()
  const heldIds = () => publishers.map((publisher) => publisher.subscriptions().map(({ id }) => id))
  const before = heldIds()
  const stillThere = () => {
    for (const [i, ids] of heldIds().entries()) expect(ids).toEqual(expect.arrayContaining(before[i] ?? []))
  }
  const port = Number(new URL(system.ingest.url).port)
  await system.stopIngest()
  const away = { CALLBACK_SECRET: OTHER, SUBSCRIBE_DEADLINE_SECONDS: '1' }
  await system.run(['poll'], away)
  stillThere()
  const proxy = createServer((_, response) => response.writeHead(200).end())
  await listen(proxy, { port })
  expect(await system.run(['subscribe'], away)).toMatchObject({ code: 1 })
  stillThere()
})

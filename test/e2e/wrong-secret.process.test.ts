import { expect, test } from 'vitest'
import { createServer } from 'node:http'
import { listen } from '../publishers/support/listen.ts'
import { clocksIn, everyDialect, steady } from './support/publishers.ts'
import { listening, startSystem } from './support/system.ts'
import { clockOf } from './support/view.ts'

const OTHER = 'another secret of the same length'
const NEWER = 'a newer secret of the same length'

test.each(everyDialect)(
  '$name: a run with a wrong or missing secret changes no subscription, and says so',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher])
    await steady(system, publisher)
    const before = publisher.subscriptions()

    const runs = [
      [['subscribe'], ''],
      [['poll'], ''],
      [['poll'], `${NEWER},${OTHER}`],
    ] as const
    for (const [command, CALLBACK_SECRET] of runs) {
      const { code, err } = await system.run(command, { CALLBACK_SECRET })
      expect({ command, CALLBACK_SECRET, code }).toEqual({ command, CALLBACK_SECRET, code: 2 })
      expect(err.match(/CALLBACK_SECRET is not/g)).toHaveLength(1)
      expect(publisher.subscriptions()).toEqual(before)
    }
    // Pushes still come in, and polls have pulled all along.
    publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 900 })
    await publisher.idle()
    expect(clockOf(await system.node(publisher), 'lock-state')).toMatchObject({
      state: 'FREERUN',
      via: 'push',
    })
  },
)

test.each(everyDialect)(
  '$name: where ingest is away, or something else answers in its place, nothing is deleted',
  async ({ create }) => {
    const [publisher] = await listening(create())
    publisher.setClock(...clocksIn('LOCKED'))
    const system = await startSystem([publisher])
    await steady(system, publisher)
    const before = publisher.subscriptions().map(({ id }) => id)
    const port = Number(new URL(system.ingest.url).port)
    await system.stopIngest()
    const away = { CALLBACK_SECRET: OTHER, SUBSCRIBE_DEADLINE_SECONDS: '1' }
    const stillThere = () => {
      const ids = publisher.subscriptions().map(({ id }) => id)
      expect(ids).toEqual(expect.arrayContaining(before))
    }
    await system.run(['poll'], away)
    stillThere()
    const proxy = createServer((_, response) => response.writeHead(200).end())
    await listen(proxy, { port })
    expect(await system.run(['subscribe'], away)).toMatchObject({ code: 1 })
    stillThere()
  },
)

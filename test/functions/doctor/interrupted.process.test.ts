import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { request } from 'undici'
import { expect, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { eventually, startSystem } from '../../e2e/support/system.ts'
import { listen } from '../../publishers/support/listen.ts'
import { startPublishers } from './world.ts'

/** Stands before ingest, and holds back what comes to the endpoint that the doctor makes. */
async function startGate() {
  const gate = { target: '', isOpen: true }
  const held: (() => void)[] = []
  const server = createServer(async (message, response) => {
    const body = await buffer(message)
    const url = message.url ?? '/'
    if (!gate.isOpen && url.includes('?doctor=')) await new Promise<void>((open) => held.push(open))
    const answer = await request(`${gate.target}${url}`, { method: 'POST', body })
    await answer.body.dump()
    response.writeHead(answer.statusCode).end()
  })
  return {
    url: await listen(server),
    to(target: string) {
      gate.target = target
    },
    shut() {
      gate.isOpen = false
    },
    holding: () => held.length,
    open() {
      gate.isOpen = true
      for (const go of held.splice(0)) go()
    },
  }
}

const ofDoctor = (publisher: Publisher) =>
  publisher.subscriptions().filter(({ endpoint }) => endpoint.includes('?doctor='))

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'with %s while a notification is under way, all of ours are there, and the next poll finds no more',
  async (killer) => {
    const gate = await startGate()
    // They wait for the gate as long as it takes.
    const publishers = await startPublishers({ deliveryTimeoutMs: 60_000 })
    const [v2, , starlingX] = publishers
    const system = await startSystem(publishers)
    gate.to(system.ingest.url)
    await system.run(['subscribe'], { CALLBACK_URL: gate.url })
    const ours = publishers.map((publisher) => publisher.subscriptions())
    expect(ours.map((all) => all.length)).toEqual([7, 5, 7])

    gate.shut()
    const doctor = system.begin(['doctor'], { CALLBACK_URL: gate.url })
    await eventually(() => expect(gate.holding()).toBe(2))
    doctor.kill(killer)
    expect(await doctor.exit).toBe(killer === 'SIGKILL' ? null : 1)
    if (killer === 'SIGTERM') {
      expect(doctor.err()).toMatch(/Stopped after \d of 3 publishers: no diagnosis/)
      expect(doctor.out()).not.toMatch(/FAILED|deliver events/)
    }
    gate.open()
    await eventually(() => expect([v2, starlingX].flatMap(ofDoctor)).toHaveLength(2))
    for (const [index, publisher] of publishers.entries()) {
      expect(publisher.subscriptions()).toEqual(expect.arrayContaining([...(ours[index] ?? [])]))
    }
    const polled = await system.run(['poll'], { CALLBACK_URL: gate.url })
    expect(polled.code).toBe(0)
    expect([v2, starlingX].flatMap(ofDoctor)).toEqual([])
    expect(publishers.map((publisher) => publisher.subscriptions())).toEqual(ours)
  },
)

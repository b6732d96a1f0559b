import { describe, expect, test } from 'vitest'
import type { ClockChange, Publisher } from '#local/publishers/index.ts'
import type { Client, Dialect, Resource } from '#shared/publishers/dialects/client.ts'
import { createRegistry, detectDialect } from '#shared/publishers/dialects/registry.ts'
import { placeOf } from '#shared/publishers/target.ts'
import { startConsumer, using } from '../support/consumer.ts'
import { logTo, startHttp } from '../support/world.ts'

/** What a dialect says of itself, to be proven against a publisher. */
export type Subject = {
  readonly dialect: Dialect
  readonly node: string
  /** A publisher that is ready at once, not listening yet. */
  make(options?: { warmUpMs?: number }): Publisher
  readonly addresses: Readonly<Record<string, string>>
  readonly unpublished: readonly string[]
  readonly clock: ClockChange
  /** How it answers while it starts. */
  readonly warmUp: 'offer' | 'pull' | 'start-values'
  /** A DELETE of an unknown id says so. */
  readonly knowsUnknownIds: boolean
}

const KINDS = [
  'lock-state',
  'os-clock-sync-state',
  'clock-class',
  'gnss-sync-status',
  'sync-state',
  'synce-lock-state',
  'synce-clock-quality',
]

/** What every dialect's client must do, over a publisher with real sockets. */
export function dialectContract(name: string, subject: Subject): void {
  async function started(options?: { warmUpMs?: number }) {
    const publisher = using(subject.make(options))
    await publisher.listen()
    const consumer = await startConsumer()
    const http = startHttp()
    const target = { node: subject.node, url: publisher.url, dialect: subject.dialect }
    const client = await createRegistry({ http, log: logTo([]) }).client(target)
    return { publisher, consumer, client, http, endpoint: `${consumer.url}/event/${subject.node}` }
  }

  async function lockState(client: Client): Promise<Resource> {
    const offer = await client.offer(['lock-state'])
    const [resource] = offer.outcome === 'offered' ? offer.resources : []
    if (resource === undefined) throw new Error('No lock-state is offered')
    return resource
  }

  describe(name, () => {
    test('is found out by probing, also where the URL names its base path or ends in a slash', async () => {
      const { publisher, http } = await started()
      expect(await detectDialect(http, placeOf(publisher.url))).toBe(subject.dialect)
      const base =
        subject.dialect === 'starlingx-v2' ? '/ocloudNotifications/v2' : '/api/ocloudNotifications/v2'
      expect(await detectDialect(http, placeOf(`${publisher.url}${base}/`))).toBe(subject.dialect)
    })

    test('offers the exact addresses of the wanted kinds, and says which it does not have', async () => {
      const { client } = await started()
      expect(await client.offer(KINDS)).toEqual({
        outcome: 'offered',
        resources: Object.entries(subject.addresses).map(([kind, address]) => ({ kind, address })),
        unpublished: subject.unpublished,
        node: subject.dialect === 'red-hat-v2' ? subject.node : undefined,
      })
    })

    test('lists nothing where there is nothing', async () => {
      const { client } = await started()
      expect(await client.list()).toEqual([])
    })

    test('creates a subscription that is then listed, and removed', async () => {
      const { client, endpoint } = await started()
      const { address } = await lockState(client)
      const created = await client.create({ address, endpoint })
      expect(created).toMatchObject({ outcome: 'created', endpoint })
      const id = created.outcome === 'created' ? created.id : ''
      const held = expect.objectContaining({ id, address, endpoint })
      expect(await client.list()).toEqual([held])
      expect(await client.remove(id)).toBe(true)
      expect(await client.list()).toEqual([])
      expect(await client.remove(id)).toBe(!subject.knowsUnknownIds)
    })

    test('posts the current state while it creates if and only if the dialect says so', async () => {
      const { client, consumer, endpoint, publisher } = await started()
      publisher.setClock(subject.clock)
      await client.create({ address: (await lockState(client)).address, endpoint })
      expect(consumer.arrivals[0]?.path).toBe(`/event/${subject.node}`)
      const stated = consumer.arrivals.some(({ body }) => body.includes('LOCKED'))
      expect(stated).toBe(client.sendsInitial)
    })

    test('says what became of a second create of the same', async () => {
      const { client, endpoint } = await started()
      const { address } = await lockState(client)
      const first = await client.create({ address, endpoint })
      const second = await client.create({ address, endpoint })
      if (client.uniqueBy === 'resource') expect(second).toEqual(first)
      else expect(second.outcome).toBe('exists')
    })

    test('keeps or refuses a second endpoint for a resource as the dialect says', async () => {
      const { client, consumer, endpoint } = await started()
      const { address } = await lockState(client)
      await client.create({ address, endpoint: `${consumer.url}/stranger` })
      const second = await client.create({ address, endpoint })
      if (client.uniqueBy === 'resource') {
        expect(second).toMatchObject({ outcome: 'foreign', endpoint: `${consumer.url}/stranger` })
        expect(await client.list()).toHaveLength(1)
      } else {
        expect(second).toMatchObject({ outcome: 'created', endpoint })
        expect(await client.list()).toHaveLength(2)
      }
    })

    test('reports a create that it refuses, since our endpoint does, with URL and status', async () => {
      const { client, consumer, endpoint, publisher } = await started()
      consumer.answer(() => 500)
      const create = client.create({ address: (await lockState(client)).address, endpoint })
      await expect(create).rejects.toMatchObject({
        code: 'status',
        status: 400,
        url: expect.stringContaining(publisher.url),
      })
    })

    test('a pull gives the state, its exact body and when it was asked and answered', async () => {
      const { client, endpoint, publisher } = await started()
      const { address } = await lockState(client)
      await client.create({ address, endpoint })
      publisher.setClock(subject.clock)
      const state = await client.currentState(address)
      if (state.outcome === 'none') throw new Error(state.reason)
      expect(state.body).toContain('LOCKED')
      expect(() => JSON.parse(state.body)).not.toThrow()
      expect(state.sentAt <= state.receivedAt).toBe(true)
    })

    test('a pull without a subscription or without data gives no state and says why', async () => {
      const { client, endpoint } = await started()
      if (subject.dialect === 'starlingx-v2') {
        // It answers anybody about the nodes that it has heard of.
        const state = await client.currentState('/./another-node/sync/ptp-status/lock-state')
        expect(state).toMatchObject({
          outcome: 'none',
          cause: 'not-ready',
          reason: expect.stringMatching(/./),
        })
        return
      }
      const { address } = await lockState(client)
      const expected = { outcome: 'none', reason: expect.stringMatching(/./) }
      expect(await client.currentState(address)).toMatchObject({
        ...expected,
        cause: subject.dialect === 'red-hat-v1' ? 'not-subscribed' : 'unknown',
      })
      await client.create({ address, endpoint })
      expect(await client.currentState(address)).toMatchObject({
        ...expected,
        cause: subject.dialect === 'red-hat-v1' ? 'no-data' : 'unknown',
      })
    })

    test('a publisher that answers 500 is a failure that may pass, one that hangs a timeout', async () => {
      const { client, endpoint, publisher } = await started()
      const { address } = await lockState(client)
      await client.create({ address, endpoint })
      publisher.setClock(subject.clock)
      await publisher.faults({ currentState: { 'lock-state': 500 } })
      if (subject.dialect === 'red-hat-v1') {
        // A sidecar hands its publisher's failure on as a 400 with a text.
        expect(await client.currentState(address)).toMatchObject({ outcome: 'none' })
      } else {
        await expect(client.currentState(address)).rejects.toMatchObject({
          code: 'status',
          status: 500,
          retryable: true,
        })
      }
      await publisher.faults({ currentState: { 'lock-state': 'hang' } })
      await expect(client.currentState(address, { deadlineMs: 50 })).rejects.toMatchObject({
        code: 'timeout',
        retryable: true,
      })
    })

    test('a publisher that is away is unreachable for every call', async () => {
      const { client, publisher, endpoint } = await started()
      const { address } = await lockState(client)
      await publisher.close()
      for (const call of [
        () => client.list(),
        () => client.create({ address, endpoint }),
        () => client.remove('id'),
        () => client.currentState(address),
      ]) {
        await expect(call()).rejects.toMatchObject({ code: 'unreachable', retryable: true })
      }
    })

    test('says that it is not ready while it starts', async () => {
      const { client, endpoint } = await started({ warmUpMs: 60_000 })
      const address = subject.addresses['lock-state'] ?? ''
      switch (subject.warmUp) {
        case 'offer':
          expect((await client.offer(KINDS)).outcome).toBe('not-ready')
          expect((await client.create({ address, endpoint })).outcome).toBe('not-ready')
          break
        case 'pull':
          await client.create({ address, endpoint })
          expect(await client.currentState(address)).toMatchObject({ outcome: 'none', cause: 'not-ready' })
          break
        case 'start-values':
          expect((await client.create({ address, endpoint })).outcome).toBe('not-ready')
          expect(await client.currentState(address)).toMatchObject({ outcome: 'none', cause: 'not-ready' })
          break
      }
    })
  })
}

import type { Clock } from '../clocks/clock.ts'
import { createClockModel } from '../clocks/model.ts'
import { createControl } from '../control.ts'
import { createCore, goTime } from '../core.ts'
import { createMux, empty, json } from '../http/go-mux.ts'
import { createHost, type Handler } from '../http/server.ts'
import type { Kind } from '../clocks/clock.ts'
import type { Publisher, PublisherOptions } from '../publisher.ts'
import { data, pushValues, type Value } from '../red-hat/values.ts'
import { type Resource, resources } from '../red-hat/resources.ts'
import { redHatV2Path } from '../red-hat-v2/index.ts'
import { readRequest, type SubscriptionV2 } from '../red-hat-v2/subscriptions.ts'
import { refuseIfTold } from '../faults.ts'
import { heldIn, summaryOf } from '../summary.ts'

/**
 * The event API that linuxptp-daemon brings itself (protocol.md §8): version 2 without health, without a list of
 * publishers, without initial notifications and without a memory of what failed. Each event shows all interfaces of
 * its kind, and CurrentState the last of them with its time. Not known of the real one, and assumed: that a restart
 * loses the subscriptions.
 */
export function createLinuxptpDaemon(options: PublisherOptions): Publisher {
  const { node } = options
  const core = createCore({ warmUpMs: 0, ...options })
  const model = createClockModel({ syncState: 'worst-of' })
  const subscriptions = new Map<string, SubscriptionV2>()
  /** By kind: all interfaces as they were last told of, and when the newest of them changed. */
  const told = new Map<Kind, { clocks: Map<string, Clock>; at: bigint }>()
  const changedAt = new Map<string, bigint>()
  const addressOf = ({ suffix }: Resource) => `/cluster/node/${node}${suffix}`
  const plan = core.faults.planner<{ endpoint: string; body: string }>({
    lane: ({ endpoint }) => endpoint,
    lost: ({ endpoint, body }) => core.dropped(endpoint, body),
  })

  const event = (resource: Resource): string | undefined => {
    const last = told.get(resource.kind)
    if (last === undefined) return undefined
    const values = [...last.clocks.values()].flatMap((clock) =>
      pushValues(clock, node).map(spelt(clock.kind)),
    )
    return JSON.stringify({
      specversion: '1.0',
      id: core.uuid(),
      source: addressOf(resource),
      type: resource.type,
      time: goTime(last.at),
      data: data(values),
    })
  }

  let last: Promise<unknown> = Promise.resolve()
  /** One try each, and nobody is dropped for what failed. */
  async function deliver(address: string, body: string): Promise<void> {
    await core.pause(core.faults.delayMs)
    for (const subscription of [...subscriptions.values()].filter((one) => one.address === address)) {
      for (const item of plan({ endpoint: subscription.endpoint, body })) {
        await core.call(item.endpoint, item.body, 'event')
      }
    }
  }

  function note(clock: Clock, at: bigint): void {
    changedAt.set(`${clock.kind} ${clock.instance}`, at)
    const clocks = told.get(clock.kind)?.clocks ?? new Map<string, Clock>()
    told.set(clock.kind, { clocks: clocks.set(clock.instance, clock), at })
  }

  function announce(clock: Clock, at: bigint): void {
    note(clock, at)
    const resource = resources.find(({ kind }) => kind === clock.kind)
    const body = resource && event(resource)
    if (resource === undefined || body === undefined) return
    last = last.then(() => deliver(addressOf(resource), body))
    core.track(last)
  }

  function create(body: string) {
    const wanted = readRequest(body, false)
    if (wanted === undefined) return empty(400)
    if (!resources.some((resource) => addressOf(resource) === wanted.address)) return empty(404)
    const subscription = { ...wanted, id: core.uuid() }
    subscriptions.set(subscription.id, subscription)
    return json(201, shown(subscription))
  }

  function currentState(address: string) {
    const resource = resources.find((one) => addressOf(one) === address)
    const fault = core.faults.stateAnswer(resource?.kind)
    if (fault !== undefined) return fault === 'hang' ? 'hang' : empty(fault)
    const body = resource && event(resource)
    return body === undefined ? empty(404) : json(200, body)
  }

  const at = (path: string) => new RegExp(`^${redHatV2Path}${path}$`)
  const api = createMux(
    [
      { method: 'POST', path: at('/subscriptions'), handle: ({ body }) => create(body) },
      {
        method: 'GET',
        path: at('/subscriptions'),
        handle: () => json(200, JSON.stringify([...subscriptions.values()].map(shown))),
      },
      {
        method: 'DELETE',
        path: at('/subscriptions/([^/]+)'),
        handle: (_, [, id = '']) => empty(subscriptions.delete(id) ? 204 : 404),
      },
      {
        method: 'GET',
        path: at('(/.+)/CurrentState'),
        handle: (_, [, address = '']) => currentState(address),
      },
    ],
    `${redHatV2Path}/`,
  )
  const control = createControl()
  const handler: Handler = (request) => control.handle(publisher, request) ?? api(request)
  const host = createHost({ ...options, now: core.now }, handler)

  const publisher: Publisher = {
    node,
    dialect: 'red-hat-v2',
    label: 'linuxptp-daemon',
    get url() {
      return host.origin
    },
    transport: undefined,
    metrics: undefined,
    deliveries: core.deliveries,
    async listen() {
      await host.listen()
      core.warmUp(undefined, () => {})
    },
    async close() {
      core.close()
      await host.close()
    },
    [Symbol.asyncDispose]: () => publisher.close(),
    setClock: (...changes) =>
      core.whenReady(changes, (change) => {
        const news = model.change(change)
        // What is not announced is seen by whoever asks all the same.
        if (news.length === 0) for (const clock of model.readings(change.kind)) note(clock, core.now())
        for (const clock of news) announce(clock, core.now())
      }),
    becomeReady: core.becomeReady,
    async faults(change) {
      core.faults.change(change)
      await refuseIfTold(host, change)
    },
    async restart({ downMs = 0, warmUpMs, replay = true } = {}) {
      await host.close()
      subscriptions.clear()
      const seen = [...told.values()].flatMap(({ clocks }) => [...clocks.values()])
      told.clear()
      await core.pause(downMs)
      await host.listen()
      // What clocks have shown is told again, in no order, each with the time at which it changed.
      core.warmUp(warmUpMs, () => {
        if (!replay) return
        for (const clock of seen.toReversed())
          announce(clock, changedAt.get(`${clock.kind} ${clock.instance}`) ?? core.now())
      })
    },
    forget: () => subscriptions.clear(),
    subscriptions: () => heldIn(subscriptions),
    idle: core.idle,
    describe: () => summaryOf(publisher, core, host, model.clocks()),
  }
  return publisher
}

/** How this publisher spells what the proxy spells otherwise: the address of a class, and GNSS words. */
function spelt(kind: Kind): (value: Value) => Value {
  return (value) => {
    if (kind === 'clock-class') return { ...value, address: `${value.address}/clock-class` }
    return kind === 'gnss-sync-status' && value.type === 'notification'
      ? { ...value, value: value.value.replaceAll('-', '_') }
      : value
  }
}

/** Without `UriLocation`. */
function shown(subscription: SubscriptionV2): object {
  const { id, address, endpoint } = subscription
  return { ResourceAddress: address, EndpointUri: endpoint, SubscriptionId: id }
}

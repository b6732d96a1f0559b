import type { Clock } from '../clocks/clock.ts'
import { createClockModel } from '../clocks/model.ts'
import { createCore, goTime } from '../core.ts'
import { createControl } from '../control.ts'
import { createFigures, createFiguresHost } from '../figures.ts'
import { createHost, type Handler } from '../http/server.ts'
import type { Publisher, PublisherOptions } from '../publisher.ts'
import { classChangeResource, type Resource, resources } from '../red-hat/resources.ts'
import { data, placeholderValues, pullValues, pushValues, type Value } from '../red-hat/values.ts'
import { refuseIfTold } from '../faults.ts'
import { heldIn, summaryOf } from '../summary.ts'
import { createApi } from './api.ts'
import { createDelivery } from './delivery.ts'
import type { SubscriptionV2 } from './subscriptions.ts'

export interface RedHatV2Options extends PublisherOptions {
  readonly release: 'main' | '4.18'
}

/** Where the API lives: `<url>/api/ocloudNotifications/v2/…`. */
export const redHatV2Path = '/api/ocloudNotifications/v2'

/**
 * A simulated cloud-event-proxy in v2 mode: the REST API of protocol.md §3 and the delivery of §4, as
 * recorded from main and release-4.18. 4.18 also accepts v1 keys, does not let SyncE be subscribed and
 * pushes sync-state raw. Not simulated: `POST`/`DELETE publishers`, which only the plugin itself calls.
 */
export function createRedHatV2(options: RedHatV2Options): Publisher {
  const { node, release } = options
  const core = createCore(options)
  const isMain = release === 'main'
  const model = createClockModel({
    syncState: isMain ? 'worst-of' : 'raw',
    remembersSyncState: isMain,
    learnsAliasFromLockState: !isMain,
  })
  const subscriptions = new Map<string, SubscriptionV2>()
  const figures = createFigures()
  const delivery = createDelivery(core, subscriptions, figures)

  const known = [...resources, classChangeResource].filter(({ kind }) => isMain || !kind.startsWith('synce-'))
  const published = resources.map((resource) => ({
    resource,
    id: core.uuid(),
    address: `/cluster/node/${node}${resource.suffix}`,
  }))

  function event(resource: Resource, values: readonly Value[]) {
    return JSON.stringify({
      specversion: '1.0',
      id: core.uuid(),
      source: resource.suffix,
      type: resource.type,
      time: goTime(core.now()),
      data: data(values),
    })
  }

  /** The event that a pull answers with, if there is anything to tell. */
  function currentState(resource: Resource): string | undefined {
    const values = pullValues(model.readings(resource.kind), node)
    return values.length > 0 ? event(resource, values) : undefined
  }

  function announce(clock: Clock) {
    const source = published.find(({ resource }) => resource.kind === clock.kind)
    if (source) delivery.enqueue(source.address, event(source.resource, pushValues(clock, node)))
  }

  const api = createApi({
    core,
    figures,
    base: redHatV2Path,
    acceptsV1Keys: !isMain,
    port: () => host.port,
    known,
    published,
    subscriptions,
    currentState,
    initial: (resource) =>
      currentState(resource) ??
      event(
        resource,
        placeholderValues(resource.kind, node, model.started ? 'event-not-found' : 'ptp-not-set'),
      ),
  })
  const control = createControl()
  const handler: Handler = (request) => control.handle(publisher, request) ?? api(request)
  const host = createHost({ ...options, now: core.now }, handler)
  const figuresHost = createFiguresHost(options, figures)

  const publisher: Publisher = {
    node,
    dialect: 'red-hat-v2',
    label: `Red Hat v2 ${release}`,
    get url() {
      return host.origin
    },
    transport: undefined,
    get metrics() {
      return figuresHost && `${figuresHost.origin}/metrics`
    },
    deliveries: core.deliveries,
    async listen() {
      await Promise.all([host.listen(), figuresHost?.listen()])
      core.warmUp(undefined, () => {})
    },
    async close() {
      core.close()
      await Promise.all([host.close(), figuresHost?.close()])
    },
    [Symbol.asyncDispose]: () => publisher.close(),
    setClock: (...changes) => core.whenReady(changes, (change) => model.change(change).forEach(announce)),
    becomeReady: core.becomeReady,
    async faults(change) {
      core.faults.change(change)
      await refuseIfTold(host, change)
    },
    async restart({ downMs = 0, warmUpMs, replay = true } = {}) {
      const seen = model.replay()
      await host.close()
      model.clear()
      figures.clear()
      await core.pause(downMs)
      await host.listen()
      core.warmUp(warmUpMs, () => {})
      if (replay) publisher.setClock(...seen)
    },
    forget: () => subscriptions.clear(),
    subscriptions: () => heldIn(subscriptions),
    idle: core.idle,
    describe: () => summaryOf(publisher, core, host, model.clocks()),
  }
  return publisher
}

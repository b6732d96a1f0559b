import { createControl } from '../control.ts'
import { createCore } from '../core.ts'
import { createHost, type Handler } from '../http/server.ts'
import type { ClockChange } from '../clocks/clock.ts'
import type { Publisher, PublisherOptions } from '../publisher.ts'
import { refuseIfTold } from '../faults.ts'
import { heldIn, summaryOf } from '../summary.ts'
import { createApi } from './api.ts'
import { createDelivery, type Subscription } from './delivery.ts'
import type { Address } from './resources.ts'
import { createService, type Instances, type Service } from './service.ts'

export interface StarlingXOptions extends PublisherOptions {
  /** Names of the ptp, ts (GNSS) and synce instances. Default: ptp-inst1, ts1, synce-inst1. */
  readonly instances?: Partial<Instances>
  readonly notificationFormat?: 'standard' | 'legacy'
  /** How far the container's local time, which is sent with a Z, is from UTC (minutes). Default 0. */
  readonly utcOffsetMinutes?: number
  /** Other nodes whose services the same sidecar knows, with what they have. */
  readonly others?: Readonly<Record<string, Partial<Instances>>>
}

export interface StarlingX extends Publisher {
  /** The clocks of another node behind the sidecar. */
  setClockOf(node: string, ...changes: readonly ClockChange[]): void
}

/**
 * A simulated StarlingX: a notification sidecar, and the notification services of the nodes that it knows, `node` the
 * first of them (starlingx.md). While it warms up the services give start values. In `setClock` an instance is the
 * name of a ptp, ts or synce instance; one that was not set is UNKNOWN once the service is ready.
 */
export function createStarlingX(options: StarlingXOptions): StarlingX {
  const { node, notificationFormat: format = 'standard', utcOffsetMinutes = 0 } = options
  const core = createCore(options)
  const subscriptions = new Map<string, Subscription>()
  const nodeOf = (address: Address) => (address.node === '.' ? node : address.node)
  const isNode = (address: Address, name: string) => address.node === '*' || nodeOf(address) === name
  const delivery = createDelivery(core, subscriptions, isNode)
  const serviceOf = (name: string, instances: Partial<Instances> = {}): Service =>
    createService({
      ...{ node: name, core, format, utcOffsetMinutes, publish: delivery.publish },
      instances: { ptp: ['ptp-inst1'], ts: ['ts1'], synce: ['synce-inst1'], ...instances },
    })
  const own = serviceOf(node, options.instances)
  const services = [
    own,
    ...Object.entries(options.others ?? {}).map(([name, instances]) => serviceOf(name, instances)),
  ]
  let heard = true

  const api = createApi({
    ...{ core, format, subscriptions, nodeOf },
    port: () => host.port,
    servicesAt: (address) => services.filter((service) => isNode(address, service.node)),
    heard: () => heard,
    onSubscribed: delivery.subscribed,
  })
  const control = createControl()
  const handler: Handler = (request) => control.handle(publisher, request) ?? api(request)
  const host = createHost({ ...options, now: core.now }, handler)

  function warmUp(ms: number | undefined) {
    for (const service of services) service.start()
    core.warmUp(ms, () => {
      for (const service of services) service.ready()
    })
  }

  const publisher: StarlingX = {
    node,
    dialect: 'starlingx-v2',
    label: `StarlingX ${format}`,
    get url() {
      return host.origin
    },
    transport: undefined,
    metrics: undefined,
    deliveries: core.deliveries,
    async listen() {
      await host.listen()
      warmUp(undefined)
    },
    async close() {
      core.close()
      await host.close()
    },
    [Symbol.asyncDispose]: () => publisher.close(),
    setClock: (...changes) => core.whenReady(changes, own.change),
    setClockOf(name, ...changes) {
      const service = services.find((one) => one.node === name)
      if (!service) throw new Error(`The sidecar knows no node ${name}`)
      core.whenReady(changes, service.change)
    },
    becomeReady: core.becomeReady,
    async faults(change) {
      core.faults.change(change)
      await refuseIfTold(host, change)
    },
    async restart({ downMs = 0, warmUpMs, replay = true, part = 'publisher' } = {}) {
      if (part === 'sidecar') {
        await host.close()
        delivery.restart()
        await core.pause(downMs)
        await host.listen()
        // Subscriptions are taken before it has heard of any service.
        heard = false
        core.warmUp(warmUpMs, () => {
          heard = true
        })
        return
      }
      const seen = services.map((service) => service.replay())
      heard = false
      await core.pause(downMs)
      heard = true
      warmUp(warmUpMs)
      if (!replay) return
      services.forEach((service, index) => {
        core.whenReady(seen[index] ?? [], service.change)
      })
    },
    forget: () => subscriptions.clear(),
    subscriptions: () => heldIn(subscriptions),
    idle: core.idle,
    describe: () => summaryOf(publisher, core, host, own.clocks()),
  }
  return publisher
}

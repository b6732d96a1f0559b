import { createControl } from '../control.ts'
import { createCore } from '../core.ts'
import { createFigures, createFiguresHost } from '../figures.ts'
import { createHost, type Handler } from '../http/server.ts'
import type { Publisher, PublisherOptions } from '../publisher.ts'
import { refuseIfTold } from '../faults.ts'
import { summaryOf } from '../summary.ts'
import { createApiV1, createTransport } from './api.ts'
import { createProducer } from './producer.ts'
import { createSidecar } from './sidecar.ts'
import { createStoreV1 } from './subscriptions.ts'

export interface RedHatV1Options extends PublisherOptions {
  readonly release: '4.14' | '4.18'
  readonly transportPort?: number
  /** Default 10,000 ms: the empty POST that validates an endpoint (protocol.md §2.3). */
  readonly validationTimeoutMs?: number
  /** Default 5,000 ms: a CurrentState through the sidecar (protocol.md §2.5). */
  readonly stateTimeoutMs?: number
  /** Default 2,000 ms: the producer's wait for the sidecar (protocol.md §2.6). */
  readonly hopTimeoutMs?: number
  /** Default 3,000 ms: how long after its restart a sidecar registers again. */
  readonly registerAfterMs?: number
  readonly clientId?: string
}

export const redHatV1Path = '/api/ocloudNotifications/v1'

/**
 * A simulated v1 publisher and the sidecar in front of it: the sidecar's REST API (`url`) and transport
 * port (`transport`) are real sockets, the hop between the two halves is a function call, as no consumer
 * sees it. 4.14 and 4.18 differ as protocol.md §2 says.
 */
export function createRedHatV1(options: RedHatV1Options): Publisher {
  const { node, release } = options
  const core = createCore(options)
  const subscriptions = createStoreV1(core.uuid)
  const figures = createFigures()
  const sidecar = createSidecar({
    core,
    figures,
    release,
    subscriptions,
    hopTimeoutMs: options.hopTimeoutMs ?? 2000,
  })
  const producer = createProducer({
    core,
    node,
    release,
    clientId: options.clientId ?? 'a31e8e45-5c86-3f28-ba1b-09f5084ca515',
    send: sidecar.receive,
  })
  const api = createApiV1({
    core,
    figures,
    base: redHatV1Path,
    release,
    port: () => host.port,
    subscriptions,
    producer,
    validationTimeoutMs: options.validationTimeoutMs ?? 10_000,
    stateTimeoutMs: options.stateTimeoutMs ?? 5000,
  })
  const control = createControl()
  const handler: Handler = (request) => control.handle(publisher, request) ?? api(request)
  const host = createHost({ ...options, now: core.now }, handler)
  const transportHost = createHost(
    { host: options.host ?? '127.0.0.1', port: options.transportPort ?? 0 },
    createTransport(sidecar.heal),
  )

  const figuresHost = createFiguresHost(options, figures)

  let registerTimer: NodeJS.Timeout | undefined

  function registerAll() {
    clearTimeout(registerTimer)
    registerTimer = undefined
    for (const resource of subscriptions.resources()) producer.register(resource)
  }

  async function restartSidecar(downMs: number) {
    sidecar.stop()
    figures.clear()
    await Promise.all([host.close(), transportHost.close()])
    await core.pause(downMs)
    await Promise.all([host.listen(), transportHost.listen()])
    subscriptions.restart()
    sidecar.start()
    registerTimer = setTimeout(registerAll, options.registerAfterMs ?? 3000)
  }

  const publisher: Publisher = {
    node,
    dialect: 'red-hat-v1',
    label: `Red Hat v1 ${release}`,
    get url() {
      return host.origin
    },
    get transport() {
      return transportHost.origin
    },
    get metrics() {
      return figuresHost && `${figuresHost.origin}/metrics`
    },
    deliveries: core.deliveries,
    async listen() {
      await Promise.all([host.listen(), transportHost.listen(), figuresHost?.listen()])
      core.warmUp(undefined, () => {})
    },
    async close() {
      clearTimeout(registerTimer)
      core.close()
      await Promise.all([host.close(), transportHost.close(), figuresHost?.close()])
    },
    [Symbol.asyncDispose]: () => publisher.close(),
    setClock: (...changes) => producer.setClock(changes),
    becomeReady() {
      core.becomeReady()
      if (registerTimer) registerAll()
    },
    async faults(change) {
      core.faults.change(change)
      if (change.stuck) sidecar.getStuck()
      else if (change.stuck === false || change.clear) sidecar.heal()
      if (change.publisherDown === true) producer.stop()
      else if ((change.publisherDown === false || change.clear) && !producer.isUp) {
        producer.start({ warmUpMs: undefined, replay: true })
      }
      await refuseIfTold(host, change)
    },
    async restart({ downMs = 0, warmUpMs, replay = true, part = 'publisher' } = {}) {
      if (part === 'sidecar') return restartSidecar(downMs)
      producer.stop()
      await core.pause(downMs)
      producer.start({ warmUpMs, replay })
    },
    forget: producer.forget,
    subscriptions: () =>
      subscriptions.listed().map(({ id, endpoint, resource }) => ({
        id,
        endpoint: endpoint ?? '',
        resource,
      })),
    idle: core.idle,
    describe() {
      const { clocks, ...rest } = producer.describe()
      return summaryOf(publisher, core, host, clocks, { ...sidecar.describe(), ...rest })
    },
  }
  return publisher
}

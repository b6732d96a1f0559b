import type { Core } from '../core.ts'
import type { Figures } from '../figures.ts'
import { data, dataV1, type Value } from '../red-hat/values.ts'
import { afterHop } from './numbers.ts'
import type { ProducerEvent, Taken } from './producer.ts'
import type { StoreV1 } from './subscriptions.ts'

interface HeldEvent {
  readonly event: ProducerEvent
  readonly taken: () => void
}

export interface SidecarParts {
  readonly core: Core
  readonly figures: Figures
  readonly release: '4.14' | '4.18'
  readonly subscriptions: StoreV1
  /** How long the producer waits for the sidecar to take an event (ms). */
  readonly hopTimeoutMs: number
}

/**
 * The event path of the sidecar: takes events from the producer and POSTs them to the application one
 * after the other. Stuck, it passes every event on only when the next one comes (protocol.md §2.6).
 */
export function createSidecar({ core, figures, release, subscriptions, hopTimeoutMs }: SidecarParts) {
  let last: Promise<unknown> = Promise.resolve()
  let isUp = true
  let isStuck = false
  let held: HeldEvent | undefined

  /** A 400 or no answer is logged by the real one and changes nothing: no retry, no drop. */
  function pass(event: ProducerEvent) {
    const subscription = subscriptions.at(event.address)
    const endpoint = subscription?.endpoint
    if (!subscription || !endpoint) return
    const body = JSON.stringify(cloudNativeEvent(event, subscription.id, release))
    last = last.then(async () => {
      const outcome = await core.call(endpoint, body, 'event')
      // Anything but a 400 or no answer at all is a success to it (protocol.md §2.6).
      const taken = outcome.kind === 'status' && outcome.status !== 400
      figures.count('cne_events_received', { type: event.address, status: taken ? 'success' : 'failed' })
    })
    core.track(last)
  }

  function letGo() {
    const due = held
    held = undefined
    if (!due) return
    pass(due.event)
    due.taken()
  }

  return {
    async receive(event: ProducerEvent): Promise<Taken> {
      if (!isUp) return 'refused'
      figures.count('cne_transport_events_received', { address: event.address, status: 'success' })
      if (!isStuck) {
        pass(event)
        return 'ok'
      }
      letGo()
      const released = new Promise<Taken>((resolve) => {
        held = { event, taken: () => resolve('ok') }
      })
      // Whoever comes second loses: a release after the time-out is no success any more.
      return Promise.race([released, core.pause(hopTimeoutMs).then((): Taken => 'timeout')])
    },
    getStuck() {
      isStuck = true
    },
    /** What `GET /event` on the transport port does: releases the held event and mends the reader. */
    heal() {
      isStuck = false
      letGo()
    },
    /** A restart loses a held event with the process. */
    stop() {
      isUp = false
      isStuck = false
      held = undefined
    },
    start() {
      isUp = true
    },
    describe: () => ({ stuck: isStuck, held: held !== undefined }),
  }
}

/** The JSON that a v1 application gets: no CloudEvent, and the subscription's id on every event. */
function cloudNativeEvent(event: ProducerEvent, id: string, release: '4.14' | '4.18') {
  const values = event.values.map(
    (value): Value => (value.type === 'metric' ? { ...value, value: afterHop(value.value) } : value),
  )
  return {
    id,
    type: event.resource.type,
    source: event.address,
    dataContentType: 'application/json',
    time: event.time,
    data: release === '4.14' ? dataV1(values) : data(values),
  }
}

import { ofKind } from '../support/render.ts'
import type { Filter, Manifest } from '../support/schemas.ts'
import type { Delivery } from './contract.ts'
import type { CloudEvent } from './event.ts'

export type Trigger = {
  readonly name: string
  /** All have to hold. */
  readonly filters: readonly Filter[]
  /** The Broker's own where it is left out. */
  readonly delivery?: Delivery
  /** The subscriber's URL, asked for before each try. */
  readonly destination: () => string
}

/** Filters see attributes, never data. */
export function passes({ filters }: Pick<Trigger, 'filters'>, { attributes }: CloudEvent): boolean {
  const type = attributes.type ?? ''
  return filters.every((filter) =>
    'not' in filter
      ? !type.startsWith(filter.not.prefix.type)
      : filter.any.some((one) =>
          'prefix' in one ? type.startsWith(one.prefix.type) : type === one.exact.type,
        ),
  )
}

/**
 * The Trigger of `broker-input` once its path was patched in; without a token before that. `address`: where its
 * subscriber is, as the cluster's DNS would say.
 */
export function triggerOf(
  manifests: readonly Manifest[],
  { token, address }: { token: string | undefined; address: () => string },
): Trigger {
  const trigger = ofKind(manifests, 'Trigger', 'eventing.knative.dev/v1').find(
    ({ metadata }) => metadata.name === 'ingest',
  )
  if (trigger === undefined) throw new Error('There is no Trigger in the manifests')
  const { filters, subscriber, delivery } = trigger.spec
  if (subscriber.uri !== undefined)
    throw new Error('An apply would take the path back to the one of the manifest')
  const path = token === undefined ? '/' : `/cloudevents/${token}`
  return { name: trigger.metadata.name, filters, delivery, destination: () => new URL(path, address()).href }
}

/** The Trigger of `node-conditions`, as it is in the manifests. */
export function conditionTrigger(manifests: readonly Manifest[], address: () => string): Trigger {
  const trigger = ofKind(manifests, 'Trigger', 'eventing.knative.dev/v1').find(
    ({ metadata }) => metadata.name === 'condition',
  )
  if (trigger === undefined) throw new Error('There is no Trigger of condition in the manifests')
  const { filters, subscriber, delivery } = trigger.spec
  const destination = () => new URL(subscriber.uri ?? '/', address()).href
  return { name: trigger.metadata.name, filters, delivery, destination }
}

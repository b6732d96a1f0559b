import { ofKind } from '../support/render.ts'
import type { Manifest } from '../support/schemas.ts'
import type { Delivery } from './contract.ts'
import type { CloudEvent } from './event.ts'

/** The filters that our manifests use: all have to hold. */
export type Filter = { readonly not: { readonly prefix: { readonly type: string } } }

export type Trigger = {
  readonly name: string
  readonly filters: readonly Filter[]
  /** The Broker's own where it is left out. */
  readonly delivery?: Delivery
  /** The subscriber's URL, asked for before each try. */
  readonly destination: () => string
}

/** Filters see attributes, never data. */
export function passes({ filters }: Pick<Trigger, 'filters'>, { attributes }: CloudEvent): boolean {
  return filters.every(({ not }) => !(attributes.type ?? '').startsWith(not.prefix.type))
}

/**
 * The Trigger of `broker-input`, as it is applied: with the token in the place of BROKER_TOKEN. `address`: where its
 * subscriber is, as the cluster's DNS would say.
 */
export function triggerOf(
  manifests: readonly Manifest[],
  { token, address }: { token: string; address: () => string },
): Trigger {
  const [trigger] = ofKind(manifests, 'Trigger', 'eventing.knative.dev/v1')
  if (trigger === undefined) throw new Error('There is no Trigger in the manifests')
  const { filters, subscriber, delivery } = trigger.spec
  const path = (subscriber.uri ?? '/').replace('BROKER_TOKEN', token)
  return { name: trigger.metadata.name, filters, delivery, destination: () => new URL(path, address()).href }
}

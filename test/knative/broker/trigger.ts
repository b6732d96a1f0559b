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
 * The Trigger of `broker-input` once its path was patched in; without a token before that. `address`: where its
 * subscriber is, as the cluster's DNS would say.
 */
export function triggerOf(
  manifests: readonly Manifest[],
  { token, address }: { token: string | undefined; address: () => string },
): Trigger {
  const [trigger] = ofKind(manifests, 'Trigger', 'eventing.knative.dev/v1')
  if (trigger === undefined) throw new Error('There is no Trigger in the manifests')
  const { filters, subscriber, delivery } = trigger.spec
  if (subscriber.uri !== undefined)
    throw new Error('An apply would take the path back to the one of the manifest')
  const path = token === undefined ? '/' : `/cloudevents/${token}`
  return { name: trigger.metadata.name, filters, delivery, destination: () => new URL(path, address()).href }
}

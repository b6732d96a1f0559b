import { type Context, type Normalised, normalise } from '#shared/events/normalise.ts'

export const NODE = 'node1.example.com'
export const TIME = '2026-11-23T03:48:28.489302008Z'

export const context: Context = { node: NODE, receivedAt: '2026-11-23T03:48:28.500Z', via: 'push' }

export const TYPES = {
  'lock-state': 'event.sync.ptp-status.ptp-state-change',
  'os-clock-sync-state': 'event.sync.sync-status.os-clock-sync-state-change',
  'clock-class': 'event.sync.ptp-status.ptp-clock-class-change',
  'gnss-sync-status': 'event.sync.gnss-status.gnss-state-change',
  'sync-state': 'event.sync.sync-status.synchronization-state-change',
  'synce-lock-state': 'event.sync.synce-status.synce-state-change',
  'synce-clock-quality': 'event.sync.synce-status.synce-clock-quality-change',
} as const

/** An entry of `values[]` as Red Hat's v2 writes it; an address without a leading slash is one of the node's. */
export function value(address: string, value: unknown): Record<string, unknown> {
  return {
    ResourceAddress: address.startsWith('/') ? address : `/cluster/node/${NODE}/${address}`,
    data_type: 'notification',
    value_type: 'enumeration',
    value,
  }
}

/** An event as Red Hat's v2 pushes it. */
export function event(
  kind: keyof typeof TYPES,
  values: readonly unknown[],
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    specversion: '1.0',
    id: '53d580b0-95d5-4795-a634-ca6e94cf259b',
    type: TYPES[kind],
    time: TIME,
    data: { version: '1.0', values },
    ...more,
  }
}

/** What a test table compares: the clocks with their words and numbers, and the codes of the problems. */
export function summary(found: Normalised): Record<string, unknown> {
  const { observations, named, placeholders, problems } = found
  return {
    ...(observations.length === 0
      ? {}
      : {
          read: observations.map(({ kind, instance, state, metrics }) =>
            [kind, instance, state, ...Object.entries(metrics).map(([name, text]) => `${name}=${text}`)]
              .filter((part) => part !== undefined)
              .join(' '),
          ),
        }),
    ...(named.length === 0 ? {} : { named: named.map(({ kind, instance }) => `${kind} ${instance}`) }),
    ...(placeholders.length === 0 ? {} : { placeholders: placeholders.map(({ means }) => means) }),
    ...(problems.length === 0 ? {} : { problems: problems.map(({ code }) => code) }),
  }
}

export const read = (body: unknown, about: Context = context) => summary(normalise(body, about))

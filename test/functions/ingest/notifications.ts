import { event, type TYPES, value } from '../../events/builders.ts'

type Kind = keyof typeof TYPES

const INSTANCES: Partial<Record<Kind, string>> = {
  'lock-state': 'ens5fx/master',
  'os-clock-sync-state': 'CLOCK_REALTIME',
}

export type Notification = {
  readonly node: string
  readonly kind?: Kind
  /** The clock's name; the usual one of its kind where none is given. */
  readonly instance?: string
  readonly word?: string
  /** The publisher's time. */
  readonly at?: string
}

/** A notification of one clock as Red Hat's v2 pushes it. */
export function notification({
  node,
  kind = 'lock-state',
  instance,
  word = 'LOCKED',
  at = AT,
}: Notification) {
  const clock = instance ?? INSTANCES[kind] ?? 'ens5fx/master'
  return event(kind, [value(`/cluster/node/${node}/${clock}`, word)], { time: at })
}

export const AT = '2026-11-23T03:48:28.489302008Z'

/** The time so many milliseconds after {@link AT}, with nanoseconds that no Date would keep. */
export function momentAfter(ms: number): string {
  return new Date(Date.parse('2026-11-23T03:48:28.489Z') + ms).toISOString().replace('Z', '302008Z')
}

export const text = (body: unknown): string => JSON.stringify(body)

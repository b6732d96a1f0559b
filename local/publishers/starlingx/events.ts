import type { Clock } from '../clocks/clock.ts'
import type { Resource } from './resources.ts'

export interface EventParts {
  readonly clock: Clock
  readonly resource: Resource
  readonly id: string
  readonly time: string
  /** How the node is named in the address: by name in a push, as asked in a pull. */
  readonly node: string
  /** `initial`: as a pull has it, posted while a subscription is made. */
  readonly as: 'push' | 'initial' | 'pull'
}

/**
 * One event with one value and no offset, the instance in its address. A clock class is a notification when pushed,
 * a metric otherwise; a quality level is a number when pushed, text otherwise.
 */
export function event({ clock, resource, id, time, node, as }: EventParts) {
  const isMetric = clock.kind === 'clock-class' || clock.kind === 'synce-clock-quality'
  const instance = isWholeNode(clock) ? '' : `/${clock.instance}`
  const figure = figureOf(clock)
  return {
    id,
    specversion: '1.0',
    source: resource.path,
    type: resource.type,
    time,
    data: {
      version: '1.0',
      values: [
        {
          data_type: isMetric && as !== 'push' ? 'metric' : 'notification',
          ResourceAddress: `/./${node}${instance}${resource.path}`,
          value_type: isMetric ? 'metric' : 'enumeration',
          value: clock.kind === 'synce-clock-quality' && as === 'push' ? Number(figure) : figure,
        },
      ],
    },
  }
}

/** The name of a clock in a legacy pull. */
export function legacyInstance(clock: Clock): string {
  if (clock.kind === 'os-clock-sync-state') return 'os_clock_status'
  return clock.kind === 'sync-state' ? 'overall_sync_status' : clock.instance
}

export const isWholeNode = (clock: Clock) =>
  clock.kind === 'os-clock-sync-state' || clock.kind === 'sync-state'

function figureOf(clock: Clock): string {
  if (clock.kind === 'clock-class') return clock.clockClass
  return clock.kind === 'synce-clock-quality' ? clock.ql : (clock.state ?? 'UNKNOWN')
}

/** `2024-11-15T15:22:33868726Z`: no dot before the microseconds, local time for some kinds, and a Z all the same. */
export function malformedTime(ns: bigint, utcOffsetMinutes: number): string {
  const local = ns + BigInt(utcOffsetMinutes) * 60_000_000_000n
  const whole = new Date(Number(local / 1_000_000n)).toISOString().slice(0, 19)
  const micros = (local % 1_000_000_000n) / 1000n
  return `${whole}${String(micros).padStart(6, '0')}Z`
}

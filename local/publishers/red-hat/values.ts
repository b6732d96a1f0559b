import type { Clock } from '../clocks/clock.ts'
import type { Kind } from '../clocks/clock.ts'

/** One entry of `values[]`, before a release has spelt its keys. */
export interface Value {
  readonly address: string
  readonly type: 'notification' | 'metric'
  readonly value: string
}

const metric = (address: string, value: string): Value => ({ address, type: 'metric', value })
const word = (address: string, value: string): Value => ({ address, type: 'notification', value })

/** What is pushed for a clock. SyncE pushes its word as a metric (protocol.md §5). */
export function pushValues(clock: Clock, node: string): readonly Value[] {
  const at = `/cluster/node/${node}/${clock.instance}`
  switch (clock.kind) {
    case 'clock-class':
      return [metric(at, clock.clockClass)]
    case 'synce-lock-state':
      return [metric(at, clock.state ?? '')]
    case 'synce-clock-quality':
      return [metric(`${at}/Ql`, clock.ql), metric(`${at}/extQl`, clock.extQl)]
    default:
      return stateValues(clock, at)
  }
}

/** What a pull shows of all clocks of a kind: other addresses than a push's for class and quality. */
export function pullValues(clocks: readonly Clock[], node: string): readonly Value[] {
  return clocks.flatMap((clock) => {
    const at = `/cluster/node/${node}/${clock.instance}`
    switch (clock.kind) {
      case 'clock-class':
        return clock.clockClass === '0' ? [] : [metric(`${at}/CLOCK_CLASS`, clock.clockClass)]
      case 'synce-lock-state':
        return [word(at, clock.state ?? '')]
      case 'synce-clock-quality':
        return [metric(`${at}/Ql`, clock.ql), metric(`${clock.instance}/ExtQL`, clock.extQl)]
      default:
        return stateValues(clock, at)
    }
  })
}

function stateValues(clock: Clock, at: string): readonly Value[] {
  const state = clock.state === undefined ? [] : [word(at, clock.state)]
  if (clock.kind === 'sync-state') return state
  const values = [...state, metric(at, clock.offset)]
  return clock.kind === 'gnss-sync-status' ? [...values, metric(`${at}/gpsFix`, clock.gpsFix)] : values
}

/** What an initial notification shows where there is nothing to show (protocol.md §3.2). */
export function placeholderValues(kind: Kind, node: string, why: 'ptp-not-set' | 'event-not-found') {
  const at = `/cluster/node/${node}/${why}`
  switch (kind) {
    case 'clock-class':
    case 'synce-clock-quality':
      return [metric(at, '0')]
    case 'sync-state':
    case 'synce-lock-state':
      return [word(at, 'FREERUN')]
    default:
      return [word(at, 'FREERUN'), metric(at, '0')]
  }
}

const valueType = { notification: 'enumeration', metric: 'decimal64.3' }

/** `data` with the inner names of v2, which 4.16 to 4.18 use in v1 envelopes too. */
export function data(values: readonly Value[]) {
  return {
    version: '1.0',
    values: values.map(({ address, type, value }) => ({
      ResourceAddress: address,
      data_type: type,
      value_type: valueType[type],
      value,
    })),
  }
}

/** `data` with the inner names of v1 (4.15 and earlier). */
export function dataV1(values: readonly Value[]) {
  return {
    version: 'v1',
    values: values.map(({ address, type, value }) => ({
      resource: address,
      dataType: type,
      valueType: valueType[type],
      value,
    })),
  }
}

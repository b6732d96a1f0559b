import { describe, expect, test } from 'vitest'
import type { LogEntry } from '#shared/state/document.ts'
import type { Arrival } from '../support/sink.ts'
import { faultsOf, lostFrom, wrongAtSink } from './support/audit.ts'
import type { Sent } from './support/load.ts'

const node = 'a.example.com'
const timeOf = (seq: number) => `2026-11-23T03:48:2${seq}.000000001Z`

function entry(seq: number, to = `${100 + seq}`, more: Partial<LogEntry> = {}): LogEntry {
  const clock = { kind: 'clock-class', instance: 'ens1fx/master' }
  return {
    seq,
    type: 'changed',
    ...clock,
    from: '6',
    to,
    at: timeOf(seq),
    via: 'push',
    overall: 'UNKNOWN',
    ...more,
  }
}

const heldOf = (...log: LogEntry[]) => ({ node, incarnation: 'one', received: log.length, log })

function arrival(of: LogEntry, { id = `id ${of.seq}`, status = 202 } = {}): Arrival {
  const event = { specversion: '1.0', id, source: '/', type: 't', sequence: '', node } as const
  return { event: { ...event, data: { node, ...of } }, headers: {}, body: '', status }
}

function sent(seq: number, to: string, kind: Sent['kind'] = 'clock-class'): Sent {
  return { node, kind, instance: 'ens1fx/master', to, at: timeOf(seq), outcome: 204 }
}

describe('the audit misses nothing that', () => {
  test('was acknowledged and is not stored', () => {
    const held = [heldOf(entry(1), entry(2))]
    expect(lostFrom(held, [sent(1, '101'), sent(2, '102')])).toEqual([])
    expect(lostFrom(held, [sent(3, '103')])).toHaveLength(1)
    expect(lostFrom(held, [sent(2, '109')])).toHaveLength(1)
    expect(lostFrom([], [sent(1, '101')])).toHaveLength(1)
  })

  test('is a word of lock state that should have been a transition', () => {
    const held = [heldOf(entry(1, 'LOCKED', { kind: 'lock-state' }))]
    expect(lostFrom(held, [sent(2, 'LOCKED', 'lock-state')])).toEqual([])
    expect(lostFrom(held, [sent(2, 'FREERUN', 'lock-state')])).toHaveLength(1)
  })

  test('is missing from a log, or is in it twice', () => {
    expect(faultsOf(heldOf(entry(1), entry(2)))).toEqual([])
    expect(faultsOf(heldOf(entry(1), entry(3)))).toHaveLength(1)
    expect(faultsOf(heldOf(entry(1), { ...entry(1), seq: 2 }))).toHaveLength(1)
  })

  test.each<[string, Arrival[], number]>([
    ['arrived in order', [arrival(entry(1)), arrival(entry(2))], 0],
    ['was repeated', [arrival(entry(1)), arrival(entry(2)), arrival(entry(1))], 0],
    [
      'was refused for a while',
      [arrival(entry(1), { status: 500 }), arrival(entry(1)), arrival(entry(2))],
      0,
    ],
    ['was set aside', [arrival(entry(1), { status: 400 }), arrival(entry(2))], 0],
    ['never arrived', [arrival(entry(1))], 1],
    ['was never taken', [arrival(entry(1)), arrival(entry(2), { status: 500 })], 1],
    ['overtook another', [arrival(entry(2)), arrival(entry(1))], 1],
    [
      'has another id the second time',
      [arrival(entry(1)), arrival(entry(2)), arrival(entry(1), { id: 'x' })],
      1,
    ],
    ['has an id of another', [arrival(entry(1), { id: 'x' }), arrival(entry(2), { id: 'x' })], 1],
    ['says something else', [arrival(entry(1)), arrival(entry(2, '7'))], 1],
  ])('%s at the sink', (_name, arrivals, wrong) => {
    expect(wrongAtSink(heldOf(entry(1), entry(2)), arrivals)).toHaveLength(wrong)
  })
})

import type { ClockChange } from '../publishers/index.ts'
import type { Random } from './random.ts'

/** What happens at once to a node; the generator goes on for ever. */
export type Life = Generator<readonly ClockChange[], never>

/** How a node's clocks behave. The first yield is the state that the node starts in: all is well. */
export type Character = (random: Random) => Life

type Change<K extends ClockChange['kind']> = Omit<ClockChange, 'kind'> & { kind?: K }

const lock = (rest: Change<'lock-state'>): ClockChange => ({ ...rest, kind: 'lock-state' })
const osClock = (rest: Change<'os-clock-sync-state'>): ClockChange => ({
  ...rest,
  kind: 'os-clock-sync-state',
})
const clockClass = (rest: Change<'clock-class'>): ClockChange => ({ ...rest, kind: 'clock-class' })
const gnss = (rest: Change<'gnss-sync-status'>): ClockChange => ({ ...rest, kind: 'gnss-sync-status' })
const synce = (state: string): ClockChange => ({ kind: 'synce-lock-state', state })
const quality = (ql: number, extQl: number): ClockChange => ({ kind: 'synce-clock-quality', ql, extQl })

/** The offset that stands for none after the death of a process (protocol.md §4.3). */
const sentinel = '-9999999999999999'

/**
 * What becomes of the system clock when PTP holds over (protocol.md §5): main `follows` it, 4.18 says
 * FREERUN and takes that back with the next sample, 4.14 stays FREERUN until PTP is back.
 */
export type OsClockInHoldover = 'follows' | 'flips' | 'free-runs'

/** An ordinary clock: loses its master now and then; mostly the master comes back within the hold-over. */
export function ordinaryClock(options: { readonly inHoldover: OsClockInHoldover }): Character {
  const { inHoldover } = options
  return function* live(random): Life {
    for (;;) {
      const offset = () => random.between(-20, 20)
      yield [
        lock({ state: 'LOCKED', offset: offset() }),
        osClock({ state: 'LOCKED', offset: offset() }),
        clockClass({ clockClass: 6 }),
      ]
      if (random.next() < 0.2) {
        // A killed ptp4l takes the system clock with it.
        yield [lock({ state: 'FREERUN', offset: sentinel }), osClock({ state: 'FREERUN', offset: sentinel })]
        continue
      }
      yield [
        lock({ state: 'HOLDOVER', offset: offset() }),
        clockClass({ clockClass: 7 }),
        osClock(
          inHoldover === 'follows'
            ? { state: 'HOLDOVER', offset: offset() }
            : { state: 'FREERUN', ...(inHoldover === 'flips' ? { offset: sentinel } : {}) },
        ),
      ]
      if (inHoldover === 'flips') yield [osClock({ state: 'LOCKED', offset: offset() })]
      if (random.next() < 0.5) continue
      yield [
        lock({ state: 'FREERUN', offset: random.between(200, 3_000_000) }),
        osClock({ state: 'FREERUN', offset: random.between(200, 5000) }),
        clockClass({ clockClass: 248 }),
      ]
    }
  }
}

/** A grandmaster with GNSS and SyncE: an antenna fails, the clock holds over, sometimes too long. */
export function grandmaster(options: { readonly hasSynce: boolean; readonly noFix: string }): Character {
  const { noFix } = options
  const at = { instance: 'ens7fx/master', config: 'ptp4l.1.config' }
  const clean = options.hasSynce ? [synce('LOCKED'), quality(1, 32)] : []
  return function* live(random): Life {
    for (;;) {
      yield [
        gnss({ ...at, state: 'SYNCHRONIZED', offset: random.between(-9, 9), gpsFix: 3 }),
        lock({ ...at, state: 'LOCKED', offset: random.between(-5, 5) }),
        clockClass({ ...at, clockClass: 6 }),
        osClock({ config: at.config, state: 'LOCKED', offset: random.between(-20, 20) }),
        ...clean,
      ]
      yield [gnss({ ...at, state: noFix, offset: 99_999_999, gpsFix: 0 })]
      yield [lock({ ...at, state: 'HOLDOVER', offset: -1_200_345 }), clockClass({ ...at, clockClass: 7 })]
      if (options.hasSynce && random.next() < 0.5) yield [synce('HOLDOVER'), quality(15, 255)]
      if (random.next() < 0.5) {
        yield [
          lock({ ...at, state: 'FREERUN', offset: -20_003_456 }),
          clockClass({ ...at, clockClass: 248 }),
          osClock({ config: at.config, state: 'FREERUN', offset: random.between(200, 5000) }),
        ]
      }
      // Seen by pulls only: the fix is back, the signal not yet good.
      yield [gnss({ ...at, state: 'ACQUIRING-SYNC', offset: 99_999_999, gpsFix: 5 })]
    }
  }
}

/** A telecom boundary clock next to an ordinary one: two configs disagree about CLOCK_REALTIME. */
export function boundaryClock(): Character {
  const first = { instance: 'ens5fx/master', config: 'ptp4l.0.config' }
  const second = { instance: 'ens9f0/master', config: 'ptp4l.1.config' }
  return function* live(random): Life {
    for (;;) {
      const offset = () => random.between(-20, 20)
      yield [
        lock({ ...first, state: 'LOCKED', offset: offset() }),
        lock({ ...second, state: 'LOCKED', offset: offset() }),
        osClock({ config: first.config, state: 'LOCKED', offset: offset() }),
        osClock({ config: second.config, state: 'LOCKED', offset: offset() }),
        clockClass({ ...first, clockClass: 6 }),
        clockClass({ ...second, clockClass: 6 }),
      ]
      yield [
        lock({ ...second, state: 'HOLDOVER', offset: offset() }),
        clockClass({ ...second, clockClass: 135 }),
        osClock({ config: second.config, state: 'HOLDOVER', offset: offset() }),
      ]
      if (random.next() < 0.6) yield [osClock({ config: second.config, state: 'FREERUN', offset: 1300 })]
      if (random.next() < 0.5) {
        yield [
          lock({ ...second, state: 'FREERUN', offset: random.between(200, 90_000) }),
          clockClass({ ...second, clockClass: 165 }),
        ]
      }
    }
  }
}

/** A StarlingX node with two ptp instances, GNSS on one of them. */
export function controller(): Character {
  const [inner, outer] = ['ptp-inst1', 'ptp-inst2']
  return function* live(random): Life {
    for (;;) {
      yield [
        gnss({ state: 'SYNCHRONIZED' }),
        lock({ instance: inner, state: 'LOCKED' }),
        lock({ instance: outer, state: 'LOCKED' }),
        clockClass({ instance: inner, clockClass: 6 }),
        clockClass({ instance: outer, clockClass: 6 }),
        osClock({ state: 'LOCKED' }),
      ]
      if (random.next() < 0.4) {
        yield [lock({ instance: outer, state: 'HOLDOVER' }), clockClass({ instance: outer, clockClass: 7 })]
        continue
      }
      yield [
        gnss({ state: random.pick(['HOLDOVER', 'FAILURE-NOFIX']) }),
        lock({ instance: inner, state: 'HOLDOVER' }),
        clockClass({ instance: inner, clockClass: 7 }),
      ]
      yield [
        lock({ instance: inner, state: 'FREERUN' }),
        clockClass({ instance: inner, clockClass: 248 }),
        osClock({ state: 'FREERUN' }),
      ]
    }
  }
}

import type { Publisher } from '../publishers/index.ts'
import type { Random } from './random.ts'

/** A fault that a script brings about, and its end. */
export interface Mishap {
  readonly name: string
  readonly begin: (publisher: Publisher) => Promise<void> | void
}

const mishaps: readonly [Mishap, ...Mishap[]] = [
  { name: 'loses 2 notifications', begin: (publisher) => publisher.faults({ drop: 2 }) },
  { name: 'sends 2 notifications twice', begin: (publisher) => publisher.faults({ duplicate: 2 }) },
  { name: 'swaps 2 notifications', begin: (publisher) => publisher.faults({ reorder: 1 }) },
  { name: 'delays notifications by 1.5 s', begin: (publisher) => publisher.faults({ delayMs: 1500 }) },
  { name: 'restarts', begin: (publisher) => publisher.restart({ downMs: 500 }) },
  { name: 'forgets its subscriptions', begin: (publisher) => publisher.forget() },
  {
    name: 'answers 404 to CurrentState of lock-state',
    begin: (publisher) => publisher.faults({ currentState: { 'lock-state': 404 } }),
  },
  { name: 'has its clock set back by 5 s', begin: (publisher) => publisher.faults({ clockOffsetMs: -5000 }) },
  { name: 'refuses connections', begin: (publisher) => publisher.faults({ refuse: true }) },
]

const stuck: Mishap = { name: 'gets stuck', begin: (publisher) => publisher.faults({ stuck: true }) }

/** Picks what goes wrong next. Only a v1 sidecar can get stuck. */
export function pickMishap(random: Random, publisher: Publisher): Mishap {
  return random.pick(publisher.dialect === 'red-hat-v1' ? [...mishaps, stuck, stuck] : mishaps)
}

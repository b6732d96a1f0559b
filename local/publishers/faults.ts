import type { Kind } from './clocks/clock.ts'

export type StateAnswer = 404 | 500 | 'hang'

/** Switches of a simulated publisher. What is left out stays as it is; `clear` first resets all. */
export interface FaultChange {
  readonly clear?: boolean
  /** The next n calls to consumers' endpoints are lost. */
  readonly drop?: number
  /** The next n are sent twice. */
  readonly duplicate?: number
  /** The next n pairs for one endpoint arrive swapped: an event waits for the one after it. */
  readonly reorder?: number
  /** Every event waits this long (ms). */
  readonly delayMs?: number
  /** How far the publisher's own clock is off: negative is set back (ms). */
  readonly clockOffsetMs?: number
  /** CurrentState of a kind (or `all`) answers so instead; `null` heals it. */
  readonly currentState?: Readonly<Partial<Record<Kind | 'all', StateAnswer | null>>>
  /** Nothing listens on the API port; false listens again. */
  readonly refuse?: boolean
  /** v1: every event is delivered when the next one comes (protocol.md §2.6). */
  readonly stuck?: boolean
  /** v1: the publisher behind the sidecar is gone; false starts it again, with its store. */
  readonly publisherDown?: boolean
}

export interface PlannerOptions<T> {
  /** Only items of one lane are swapped with each other, such as those for one endpoint. */
  readonly lane: (item: T) => string
  /** Told of what is lost. */
  readonly lost: (item: T) => void
}

export interface Faults {
  change(change: FaultChange): void
  /** A function that says what is really sent when an item is due: nothing, it, it twice, or it later. */
  planner<T>(options: PlannerOptions<T>): (item: T) => readonly T[]
  stateAnswer(kind: Kind | undefined): StateAnswer | undefined
  readonly delayMs: number
  readonly clockOffsetMs: number
  describe(): object
}

/** Takes the publisher's port away, or opens it again, where a change says so. */
export async function refuseIfTold(
  host: { listen(): Promise<void>; close(): Promise<void> },
  { refuse, clear }: FaultChange,
): Promise<void> {
  if (refuse === true) await host.close()
  if (refuse === false || clear) await host.listen()
}

/** The switches that act on deliveries and answers alike in every dialect. */
export function createFaults(): Faults {
  let counts = { drop: 0, duplicate: 0, reorder: 0 }
  let delayMs = 0
  let clockOffsetMs = 0
  let answers = new Map<Kind | 'all', StateAnswer>()
  let heldCount = 0

  return {
    get delayMs() {
      return delayMs
    },
    get clockOffsetMs() {
      return clockOffsetMs
    },
    change(change) {
      if (change.clear) {
        counts = { drop: 0, duplicate: 0, reorder: 0 }
        delayMs = 0
        clockOffsetMs = 0
        answers = new Map()
      }
      counts.drop = change.drop ?? counts.drop
      counts.duplicate = change.duplicate ?? counts.duplicate
      counts.reorder = change.reorder ?? counts.reorder
      delayMs = change.delayMs ?? delayMs
      clockOffsetMs = change.clockOffsetMs ?? clockOffsetMs
      for (const kind of kindsOf(change.currentState)) {
        const answer = change.currentState?.[kind]
        if (answer) answers.set(kind, answer)
        else answers.delete(kind)
      }
    },
    planner<T>({ lane, lost }: PlannerOptions<T>) {
      // What a swap has taken out until its successor comes, by lane.
      const held = new Map<string, T>()
      return (item: T) => {
        if (counts.drop > 0) {
          counts.drop -= 1
          lost(item)
          return []
        }
        const overtaken = held.get(lane(item))
        if (overtaken !== undefined) {
          held.delete(lane(item))
          heldCount -= 1
          return [item, overtaken]
        }
        if (counts.reorder > 0) {
          counts.reorder -= 1
          held.set(lane(item), item)
          heldCount += 1
          return []
        }
        if (counts.duplicate > 0) {
          counts.duplicate -= 1
          return [item, item]
        }
        return [item]
      }
    },
    stateAnswer: (kind) => answers.get('all') ?? (kind && answers.get(kind)),
    describe: () => ({
      ...counts,
      delayMs,
      clockOffsetMs,
      currentState: Object.fromEntries(answers),
      held: heldCount,
    }),
  }
}

const kinds: readonly (Kind | 'all')[] = [
  'all',
  'lock-state',
  'os-clock-sync-state',
  'clock-class',
  'gnss-sync-status',
  'sync-state',
  'synce-lock-state',
  'synce-clock-quality',
]

function kindsOf(answers: object | undefined) {
  return kinds.filter((kind) => answers !== undefined && kind in answers)
}

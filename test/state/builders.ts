import type { Observation } from '#shared/events/observation.ts'
import { applyAll } from '#shared/state/store/change.ts'
import { mergePulls, type PullResult } from '#shared/state/merge/pull.ts'
import { type Pull, defaultSettings, type MergeSettings } from '#shared/state/merge/draft.ts'
import { type Fate, mergePush } from '#shared/state/merge/push.ts'
import { type ClockState, emptyNodeState, type LogEntry, type NodeState } from '#shared/state/document.ts'
import { conditionOf, type Overall } from '#shared/state/merge/overall.ts'
import type { Outcome } from '#shared/state/store/change.ts'
import { isoTime } from '#shared/time.ts'

export const NODE = 'node1.example.com'
const START = Date.parse('2026-11-23T04:00:00Z')

/** Our time `seconds` after the start of every test, in milliseconds. */
export const ms = (seconds: number): number => START + Math.round(seconds * 1000)
/** The same as RFC 3339; also what a publisher's clock that is right says. */
export const at = (seconds: number): string => isoTime(ms(seconds))

/** A word of state, or the numbers of a kind without one. */
export type Said = string | Readonly<Record<string, string>>

const INSTANCES: Readonly<Record<string, string>> = {
  'os-clock-sync-state': 'CLOCK_REALTIME',
  'sync-state': 'node',
}
export const instanceOf = (kind: string): string => INSTANCES[kind] ?? 'ens5fx/master'

type When = {
  /** Seconds on the publisher's clock. */
  readonly at: number
  /** Seconds on ours: when we had it. The same as `at` by default. */
  readonly received?: number
  readonly instance?: string
  readonly metrics?: Readonly<Record<string, string>>
  readonly timeFrom?: 'receipt'
}

export function reading(kind: string, said: Said, when: When, via: Observation['via'] = 'push'): Observation {
  return {
    node: NODE,
    kind,
    instance: when.instance ?? instanceOf(kind),
    ...(typeof said === 'string' ? { state: said } : {}),
    metrics: typeof said === 'string' ? (when.metrics ?? {}) : said,
    at: at(when.at),
    receivedAt: at(when.received ?? when.at),
    ...(when.timeFrom && { timeFrom: when.timeFrom }),
    via,
  }
}

type Asked = {
  /** Seconds: when we asked, the publisher's time of its answer, when we had it. All the same by default. */
  readonly sent?: number
  readonly at: number
  readonly received?: number
  readonly instance?: string
  readonly queryTime?: boolean
  readonly via?: 'poll' | 'initial'
  readonly named?: readonly string[]
}

/** What CurrentState of a kind answered: one entry for each word, all of one instance, or a map of instances. */
export function answer(
  kind: string,
  said: readonly Said[] | Readonly<Record<string, Said>>,
  asked: Asked,
): Pull {
  const { via = 'poll', sent = asked.at, received = asked.at, queryTime = true, named = [] } = asked
  const entries: readonly (readonly [string, Said])[] = Array.isArray(said)
    ? said.map((one: Said) => [asked.instance ?? instanceOf(kind), one] as const)
    : Object.entries(said)
  return {
    kind,
    via,
    observations: entries.map(([instance, one]) =>
      reading(kind, one, { at: asked.at, received, instance }, via),
    ),
    named: named.map((instance) => ({ kind, instance })),
    sentAt: at(sent),
    receivedAt: at(received),
    queryTime,
    none: false,
  }
}

/** A 404 while the publisher holds our subscription: it has no clock of the kind. */
export function none(kind: string, seconds: number): Pull {
  return { ...answer(kind, [], { at: seconds }), none: true }
}

/** A node whose document changes as the store would change it; every document handed to a merge is frozen. */
export type Node = {
  readonly state: NodeState
  readonly log: readonly LogEntry[]
  /** The log's lines since the last call, as `type kind from→to @at` with what they have. */
  news(): string[]
  push(kind: string, said: Said, when: When, via?: Observation['via']): Fate
  merge(...observations: readonly Observation[]): Fate
  /** One poll: all pulls of it, concluded. `now` in seconds, the last answer's by default. */
  poll(pulls: readonly Pull[], now?: number): PullResult
  /** An initial notification. */
  initial(pull: Pull): void
  clock(kind: string, instance?: string): ClockState
  overall(seconds: number): Overall
}

export function createNode(settings: MergeSettings = defaultSettings, document?: NodeState): Node {
  let state = deepFreeze(document ?? emptyNodeState(NODE, 'incarnation'))
  const log: LogEntry[] = []
  let told = 0

  const take = <T>(outcome: Outcome<T>): T => {
    const changed = applyAll(state, [() => outcome])
    if (changed !== undefined) {
      state = deepFreeze(changed.state)
      log.push(...changed.entries)
    }
    return outcome.result
  }
  const merge = (...observations: readonly Observation[]) => {
    const now = Math.max(...observations.map(({ receivedAt }) => Date.parse(receivedAt)))
    return take(mergePush(state, deepFreeze(observations), settings, now))
  }
  return {
    get state() {
      return state
    },
    log,
    news() {
      const lines = log.slice(told).map(line)
      told = log.length
      return lines
    },
    push: (kind, said, when, via) => merge(reading(kind, said, when, via)),
    merge,
    poll(pulls, now) {
      const startedAt = Math.min(
        ...pulls.map(({ sentAt }) => Date.parse(sentAt)),
        now === undefined ? Infinity : ms(now),
      )
      const end =
        now === undefined ? Math.max(...pulls.map(({ receivedAt }) => Date.parse(receivedAt))) : ms(now)
      return take(mergePulls(state, deepFreeze(pulls), settings, { now: end, poll: { startedAt } }))
    },
    initial(pull) {
      take(mergePulls(state, deepFreeze([pull]), settings, { now: Date.parse(pull.receivedAt) }))
    },
    clock(kind, instance = instanceOf(kind)) {
      const found = state.clocks.find((clock) => clock.kind === kind && clock.instance === instance)
      if (found === undefined) throw new Error(`The node has no clock ${kind} ${instance}`)
      return found
    },
    overall: (seconds) => conditionOf(state, ms(seconds), settings).overall,
  }
}

/** `changed lock-state LOCKED→FREERUN @30`; bounds as `(10..30)`, both in seconds. */
function line({ type, kind, from, to, at: time, notBefore, notAfter }: LogEntry): string {
  const seconds = (text: string | undefined) =>
    text === undefined ? '' : String((Date.parse(text) - START) / 1000)
  return [
    type,
    kind,
    from === undefined && to === undefined ? undefined : `${from ?? ''}→${to ?? ''}`,
    time === undefined ? undefined : `@${seconds(time)}`,
    notBefore === undefined && notAfter === undefined
      ? undefined
      : `(${seconds(notBefore)}..${seconds(notAfter)})`,
  ]
    .filter((part) => part !== undefined)
    .join(' ')
}

/** Freezes a JSON value through and through, so that a merge that writes to what it was given throws. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}

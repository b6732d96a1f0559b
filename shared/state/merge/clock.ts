import { isNumeric } from '#shared/kinds.ts'
import { rankOf } from '#shared/events/words.ts'
import { compareTimes } from '#shared/time.ts'
import type { ClockState, Reading } from '#shared/state/document.ts'

/** The part of a reading that is compared: its word, or its numbers where the kind has no word. */
export type Content = { readonly state: string | null; readonly metrics: Readonly<Record<string, string>> }

/** Kinds whose missed transitions count: publishers are known not to push every change of the others (rule 6). */
const MISSABLE: ReadonlySet<string> = new Set([
  'lock-state',
  'os-clock-sync-state',
  'clock-class',
  'synce-lock-state',
  'synce-clock-quality',
])

export function isMissable(kind: string): boolean {
  return MISSABLE.has(kind)
}

/** What people see as the state of a clock: its word, its clock class, `ql/extQl`, or UNKNOWN. */
export function shownValue(content: Content): string {
  if (content.state !== null) return content.state
  const { clockClass, ql, extQl, value } = content.metrics
  if (clockClass !== undefined) return clockClass
  if (ql !== undefined || extQl !== undefined)
    return [ql, extQl].filter((part) => part !== undefined).join('/')
  return value ?? 'UNKNOWN'
}

/** Whether two readings of one clock say the same state. Numbers are compared as numbers: `6`, `6.0`, `6e+00`. */
export function sameValue(a: Content, b: Content): boolean {
  if (a.state !== null || b.state !== null) return a.state === b.state
  const names = new Set([...Object.keys(a.metrics), ...Object.keys(b.metrics)])
  for (const name of names) if (Number(a.metrics[name]) !== Number(b.metrics[name])) return false
  return true
}

export function sameContent(a: Content, b: Content): boolean {
  return a.state === b.state && spelled(a.metrics) === spelled(b.metrics)
}

/** Negative if `a` is the worse state of the two, 0 if neither is. Of clock classes and qualities the higher is worse. */
export function compareWorse(kind: string, a: Content, b: Content): number {
  if (a.state !== null && b.state !== null) return rankOf(kind, a.state) - rankOf(kind, b.state)
  if (!isNumeric(kind)) return 0
  for (const name of ['clockClass', 'ql', 'extQl']) {
    const difference = Number(b.metrics[name] ?? 0) - Number(a.metrics[name] ?? 0)
    if (difference !== 0 && !Number.isNaN(difference)) return difference
  }
  return 0
}

export function isWorse(kind: string, a: Content, b: Content): boolean {
  return compareWorse(kind, a, b) < 0
}

/** Which of two readings of the same instant wins: the worse one; of equals, one chosen independently of order. */
export function standing<T extends Content>(kind: string, a: T, b: T): T {
  const order = compareWorse(kind, a, b)
  if (order !== 0) return order < 0 ? a : b
  return `${a.state} ${spelled(a.metrics)}` <= `${b.state} ${spelled(b.metrics)}` ? a : b
}

export function worstOf<T extends Content>(kind: string, first: T, ...others: readonly T[]): T {
  return others.reduce((worst, other) => (isWorse(kind, other, worst) ? other : worst), first)
}

/** How many pushes a clock remembers at most; lock states need 4, only clock classes could need more. */
const REMEMBERED = 8

/**
 * The pushes to remember after `push`, newest first: the newest, and each older one that is worse than all after it and
 * dated after the last pull. So the worst push since any point in time is known (rules 7 and 8).
 */
export function remember({ kind, pushes, pull }: ClockState, push: Reading): Reading[] {
  const newer = pushes.filter((other) => compareTimes(other.at, push.at) >= 0)
  const older = pushes.slice(newer.length)
  const isWorst = newer.every((other) => isWorse(kind, push, other))
  const kept = isWorst ? [...newer, push, ...older.filter((other) => isWorse(kind, other, push))] : pushes
  const isUnknown = ({ at }: Reading) => pull?.at === undefined || compareTimes(at, pull.at) > 0
  const unknown = kept.filter((other, index) => index === 0 || isUnknown(other))
  return unknown.toSpliced(REMEMBERED - 1, unknown.length - REMEMBERED)
}

/**
 * Whether a clock shows the worst of the last pull and the pushes since, instead of the newest push: where the pull
 * contradicted itself (rule 7), and always for sync-state, which publishers push wrong (rule 8).
 */
export function takesWorst(clock: Pick<ClockState, 'kind' | 'contested'>): boolean {
  return clock.contested || clock.kind === 'sync-state'
}

function spelled(metrics: Readonly<Record<string, string>>): string {
  return Object.keys(metrics)
    .sort()
    .map((name) => `${name}=${metrics[name]}`)
    .join(' ')
}

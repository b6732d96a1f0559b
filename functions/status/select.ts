import { rankOf } from '#shared/events/words.ts'
import { UsageError } from '#shared/runtime/arguments.ts'
import type { Flags } from '#shared/runtime/function.ts'
import { OVERALL_KINDS, type Overall } from '#shared/state/merge/overall.ts'
import type { NodeView } from '#shared/state/view.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'

const WORDS: readonly Overall[] = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']
const SORTS = ['severity', 'name', 'since'] as const

/** Which nodes to show, and in which order. */
export type Selection = {
  /** Empty: all. */
  readonly overall: ReadonlySet<Overall>
  readonly labels: readonly (readonly [key: string, value: string])[]
  /** Part of a node's name, lower case. */
  readonly name: string
  readonly sort: (typeof SORTS)[number]
}

/** @throws UsageError for a value that a flag does not take; the message says which it does. */
export function readSelection(flags: Flags): Selection {
  for (const flag of ['overall', 'label', 'name']) {
    // `--name "$NODE"` without a NODE asks for one node, not for all.
    if (flags[flag] !== undefined && listOf(flags[flag]).length === 0)
      throw new UsageError(`--${flag} is empty`)
  }
  const { overall = '', label = '', name = '', sort = 'severity' } = flags
  return {
    overall: new Set(listOf(overall).map((word) => oneOf(WORDS, word.toUpperCase(), '--overall'))),
    labels: listOf(label).map((text) => {
      const [, key, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
      if (key !== undefined && value !== undefined) return [key, value]
      throw new UsageError(`--label must be <key>=<value>; found ${JSON.stringify(text)}`)
    }),
    name: String(name).trim().toLowerCase(),
    sort: oneOf(SORTS, String(sort), '--sort'),
  }
}

function listOf(flag: string | boolean): string[] {
  return String(flag)
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** The one of `allowed` that a flag holds. @throws UsageError otherwise. */
export function oneOf<T extends string>(allowed: readonly T[], found: string, flag: string): T {
  const value = allowed.find((each) => each === found)
  if (value !== undefined) return value
  throw new UsageError(`${flag} must be one of ${allowed.join(', ')}; found ${JSON.stringify(found)}`)
}

/** Whether a node is one of those asked for; whatever state it is in. */
export function isNamed({ node, labels }: NodeView, selection: Selection): boolean {
  return (
    node.toLowerCase().includes(selection.name) &&
    selection.labels.every(([key, value]) => labels[key] === value)
  )
}

export function isShown({ overall }: NodeView, selection: Selection): boolean {
  return selection.overall.size === 0 || selection.overall.has(overall)
}

/** In the order asked for: the worst first, by name, or the newest state first. */
export function sorted<T extends NodeView>(views: readonly T[], sort: Selection['sort']): T[] {
  const byName = (a: NodeView, b: NodeView) => (a.node < b.node ? -1 : a.node > b.node ? 1 : 0)
  const severity = ({ overall }: NodeView) => rankOf('lock-state', overall)
  if (sort === 'name') return views.toSorted(byName)
  if (sort === 'severity') return views.toSorted((a, b) => severity(a) - severity(b) || byName(a, b))
  const began = new Map(views.map((view) => [view, beganOf(view)?.at ?? Number.NEGATIVE_INFINITY]))
  return views.toSorted((a, b) => (began.get(b) ?? 0) - (began.get(a) ?? 0) || byName(a, b))
}

/** Whether a clock's state may well be another by now: nothing has confirmed it, or something spoke against it. */
export function isDoubted({ blind }: NodeView, { stale, suspect }: NodeView['resources'][number]): boolean {
  return blind || stale || suspect !== null
}

/** When a node's overall state began, in milliseconds. */
export type Began = {
  readonly at: number
  /** No push has dated it: it began then or before. */
  readonly orBefore: boolean
}

/**
 * By the clocks that decide: a node is in lock since the last of them is, and in a worse state since the first of
 * them is. Undefined where no clock is in the state of the node (UNKNOWN for want of a clock, or for its silence).
 */
export function beganOf(view: NodeView): Began | undefined {
  const { overall, resources } = view
  const each = resources
    .filter(
      (clock) =>
        OVERALL_KINDS.has(clock.kind) &&
        clock.state === overall &&
        !(overall === 'LOCKED' && isDoubted(view, clock)),
    )
    .flatMap(({ since, notAfter }): Began[] => {
      if (since !== null) return [{ at: Number(nanoseconds(since) / 1_000_000n), orBefore: false }]
      return notAfter === null ? [] : [{ at: milliseconds(notAfter), orBefore: true }]
    })
    .sort((a, b) => a.at - b.at)
  return overall === 'LOCKED' ? each.at(-1) : each[0]
}

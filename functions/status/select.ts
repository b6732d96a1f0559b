import { rankOf } from '#shared/events/words.ts'
import { OVERALL_KINDS, type Overall } from '#shared/state/merge/overall.ts'
import type { NodeView } from '#shared/state/view.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'

/** Overall states, worst first. */
export const OVERALL: readonly Overall[] = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']
export const SORTS = ['severity', 'name', 'since'] as const

/** Which nodes to show, and in which order. */
export type Selection = {
  /** Empty: all. */
  readonly overall: ReadonlySet<Overall>
  readonly labels: readonly (readonly [key: string, value: string])[]
  /** Part of a node's name, lower case. */
  readonly name: string
  readonly sort: (typeof SORTS)[number]
}

/** Makes the error for a value that cannot be used: `sort`, `must be one of …`. */
export type Refuse = (parameter: string, problem: string) => Error

/**
 * Reads `overall`, `label`, `name` and `sort`, of a command line as of a query.
 * @throws what `refuse` makes.
 */
export function readSelection(
  values: Readonly<Record<string, string | boolean | undefined>>,
  refuse: Refuse,
): Selection {
  const textOf = (parameter: string) => {
    const text = String(values[parameter] ?? '').trim()
    // `--name "$NODE"` without a NODE asks for one node, not for all.
    if (values[parameter] !== undefined && /^[\s,]*$/.test(text)) throw refuse(parameter, 'is empty')
    return text
  }
  const listOf = (parameter: string) =>
    textOf(parameter)
      .split(/\s*,\s*/)
      .filter(Boolean)
  return {
    overall: new Set(listOf('overall').map((word) => oneOf(OVERALL, word.toUpperCase(), 'overall', refuse))),
    labels: listOf('label').map((text) => {
      const [, key, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
      if (key !== undefined && value !== undefined) return [key, value]
      throw refuse('label', `must be <key>=<value>; found ${JSON.stringify(text)}`)
    }),
    name: textOf('name').toLowerCase(),
    sort: oneOf(SORTS, textOf('sort') || 'severity', 'sort', refuse),
  }
}

/** The one of `allowed` that a parameter holds. */
export function oneOf<T extends string>(
  allowed: readonly T[],
  found: string,
  parameter: string,
  refuse: Refuse,
): T {
  const value = allowed.find((each) => each === found)
  if (value !== undefined) return value
  throw refuse(parameter, `must be one of ${allowed.join(', ')}; found ${JSON.stringify(found)}`)
}

/** Whether name and labels of a node match, whatever its state. */
export function isNamed({ node, labels }: NodeView, selection: Selection): boolean {
  return (
    node.toLowerCase().includes(selection.name) &&
    selection.labels.every(([key, value]) => labels[key] === value)
  )
}

export function isShown({ overall }: NodeView, selection: Selection): boolean {
  return selection.overall.size === 0 || selection.overall.has(overall)
}

/** Worst first, by name, or latest change first. */
export function sorted<T extends NodeView>(views: readonly T[], sort: Selection['sort']): T[] {
  const keyOf = ({ overall }: NodeView) => rankOf('lock-state', overall)
  const began = (view: NodeView) => -(beganOf(view)?.at ?? 0)
  const key = { severity: keyOf, name: () => 0, since: began }[sort]
  return views
    .map((view) => ({ view, key: key(view) }))
    .sort((a, b) => a.key - b.key || (a.view.node < b.view.node ? -1 : a.view.node > b.view.node ? 1 : 0))
    .map(({ view }) => view)
}

/** Whether a clock may well be in another state by now: stale, suspect, or of a blind node. */
export function isDoubted({ blind }: NodeView, { stale, suspect }: NodeView['resources'][number]): boolean {
  return blind || stale || suspect !== null
}

/** When a node's overall state began, in milliseconds. `orBefore`: no push has dated it. */
export type Began = { readonly at: number; readonly orBefore: boolean }

/**
 * By the clocks that decide: a node is LOCKED since the last of them is, and in a worse state since the first of them
 * is. Undefined where no clock is in the state of the node (UNKNOWN for lack of a clock, or because it is silent).
 */
export function beganOf(view: NodeView): Began | undefined {
  const { overall, resources } = view
  const isLocked = overall === 'LOCKED'
  const times = resources
    .filter(({ kind, state }) => OVERALL_KINDS.has(kind) && state === overall)
    .filter((clock) => !isLocked || !isDoubted(view, clock))
    .flatMap(({ since, notAfter }): Began[] => {
      if (since !== null) return [{ at: Number(nanoseconds(since) / 1_000_000n), orBefore: false }]
      return notAfter === null ? [] : [{ at: milliseconds(notAfter), orBefore: true }]
    })
    .sort((a, b) => a.at - b.at)
  return isLocked ? times.at(-1) : times[0]
}

import type { Overall } from '#shared/state/merge/overall.ts'
import { OVERALL, type Row } from './http/schemas.ts'
import { rowOf, type ShownNode } from './shown.ts'

const SORTS = ['severity', 'name', 'since'] as const

/** Which nodes to show, and in which order; the same for the command line, the API and the stream. */
export type Selection = {
  /** Empty: all. */
  readonly overall: ReadonlySet<Overall>
  /** Undefined: all. */
  readonly stale: boolean | undefined
  readonly labels: readonly (readonly [key: string, value: string])[]
  /** Part of a node's name, lower case. */
  readonly name: string
  readonly sort: (typeof SORTS)[number]
}

/** The values of flags or query parameters. */
type Given = { readonly [name in 'overall' | 'stale' | 'name' | 'sort']?: string | undefined } & {
  readonly label: readonly string[] | undefined
}

/** Creates the error for an unusable value: `sort`, `must be one of …`. */
type Refuse = (parameter: string, problem: string) => Error

/**
 * Reads a selection. `separator` separates a label's key and value.
 * @throws what `refuse` returns, for an unknown or an empty value: `--name "$NODE"` without a NODE asks for one node,
 * not for all.
 */
export function readSelection(
  { overall, stale, label, name, sort }: Given,
  separator: ':' | '=',
  refuse: Refuse,
): Selection {
  for (const [parameter, value] of Object.entries({ overall, stale, label, name, sort })) {
    if (value !== undefined && /^[\s,]*$/.test(String(value))) throw refuse(parameter, 'is empty')
  }
  return {
    overall: new Set(
      partsOf(overall).map((word) => oneOfAllowed(OVERALL, word.toUpperCase(), 'overall', refuse)),
    ),
    stale:
      stale === undefined ? undefined : oneOfAllowed(['true', 'false'], stale, 'stale', refuse) === 'true',
    labels: (label ?? []).map((text) => {
      const at = text.indexOf(separator)
      if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)]
      throw refuse('label', `must be <key>${separator}<value>; found ${JSON.stringify(text)}`)
    }),
    name: (name ?? '').trim().toLowerCase(),
    sort: oneOfAllowed(SORTS, sort ?? 'severity', 'sort', refuse),
  }
}

/** The items of a comma-separated list. */
export function partsOf(text = ''): string[] {
  return text
    .trim()
    .split(/\s*,\s*/)
    .filter(Boolean)
}

/** The value of a parameter, if it is one of `allowed`. */
export function oneOfAllowed<T extends string>(
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
export function isNamed({ node, labels }: Pick<Row, 'node' | 'labels'>, selection: Selection): boolean {
  return (
    node.toLowerCase().includes(selection.name) &&
    selection.labels.every(([key, value]) => labels[key] === value)
  )
}

/** Whether the state of a node matches. */
export function isShown({ overall, flags }: Pick<Row, 'overall' | 'flags'>, selection: Selection): boolean {
  return (
    (selection.overall.size === 0 || selection.overall.has(overall)) &&
    (selection.stale === undefined || flags.includes('stale') === selection.stale)
  )
}

export function isSelected(row: Row, selection: Selection): boolean {
  return isNamed(row, selection) && isShown(row, selection)
}

/** Worst first, by name, or latest change first. */
export function sorted<T extends ShownNode>(views: readonly T[], sort: Selection['sort']): T[] {
  return views
    .map((view) => ({ view, place: sortKey(rowOf(view), sort) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ view }) => view)
}

/** The sort key of a node: compared by code units, unique for each node. */
export function sortKey({ node, overall, since }: Row, sort: Selection['sort']): string {
  if (sort === 'severity') return `${OVERALL.indexOf(overall)} ${node}`
  if (sort === 'name') return node
  const began = since === null ? 0 : Date.parse(since)
  return `${String(9e15 - began).padStart(16, '0')} ${node}`
}

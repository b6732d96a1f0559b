import { becauseOf, beganOf } from '#shared/state/because.ts'
import type { Row } from './api.ts'
import type { ShownNode } from './shown.ts'

/** A node in brief. */
export function rowOf(view: ShownNode): Row {
  const began = beganOf(view)
  const { publisher } = view
  const flags: Row['flags'] = []
  for (const flag of ['blind', 'suspect', 'stale'] as const) if (view[flag]) flags.push(flag)
  if (publisher?.goneSince !== undefined) flags.push('gone')
  else if (publisher?.reachable === false) flags.push('unreachable')
  return {
    node: view.node,
    overall: view.overall,
    since: began === undefined ? null : new Date(began.at).toISOString(),
    orBefore: began?.orBefore ?? false,
    because: becauseOf(view),
    flags,
    labels: view.labels,
    checkedAt: publisher?.checkedAt ?? null,
    missed: view.counters.missed,
    holdover: view.holdover,
  }
}

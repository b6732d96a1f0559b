import { BUDGET_LABEL, budgetOf } from '#shared/holdover-budget.ts'
import { publishedAt } from '#shared/time.ts'
import { beganOf, isDoubted } from './because.ts'
import type { NodeView } from './view.ts'

const within = (meaning: string) => ({ meaning, says: 'within' as const })
const out = (meaning: string) => ({ meaning, says: 'out' as const })

/**
 * What clock classes say about holdover: ITU-T G.8275.1 (11/2022) §6.4 table 3 for telecom clocks, IEEE 1588-2008 table
 * 5 for all others. Other classes, such as 6, 248 and 255, say nothing about it (docs/holdover.md).
 */
export const CLOCK_CLASSES: Readonly<Record<string, ReturnType<typeof within | typeof out>>> = {
  7: within('T-GM in holdover, within holdover specification'),
  14: within('in holdover, within specification, own timescale'),
  52: out('class 7 that has degraded (A), out of specification'),
  58: out('class 14 that has degraded (A), out of specification'),
  135: within('T-BC in holdover, within holdover specification'),
  140: out('T-GM in holdover, out of holdover specification, category 1 frequency source'),
  150: out('T-GM in holdover, out of holdover specification, category 2 frequency source'),
  160: out('T-GM in holdover, out of holdover specification, category 3 frequency source'),
  165: out('T-BC in holdover, out of holdover specification'),
  187: out('class 7 that has degraded (B), out of specification'),
  193: out('class 14 that has degraded (B), out of specification'),
}

/** How much longer a node in HOLDOVER may be trusted. */
export type Holdover = {
  readonly budgetSeconds: number
  /** When the budget runs out (RFC 3339); if a clock class says that the node is out of specification, since when. */
  readonly endsAt: string
  /** By a clock class if there is one that says, else by the budget left. */
  readonly inSpecification: boolean
  /** The clock class that says so; null if none does. */
  readonly clockClass: string | null
}

/**
 * The holdover of a node at `now` (milliseconds); null unless it is in HOLDOVER. A clock class that says out of
 * specification ends it, whatever the budget. One that says within does not extend it: the budget is what the site
 * tolerates, the class only what the publisher's own timer says.
 */
export function holdoverOf(view: NodeView, now: number, budgetMs: number): Holdover | null {
  const began = view.overall === 'HOLDOVER' ? beganOf(view) : undefined
  if (began === undefined) return null
  const budget = (budgetOf(view.labels[BUDGET_LABEL]) ?? budgetMs / 1000) * 1000
  // A publisher's clock that is ahead of ours does not extend the budget.
  const spentAt = Math.min(began.at, now) + budget
  const said = verdictOf(view)
  const endsAt = said?.says === 'out' ? Math.min(spentAt, Math.max(began.at, said.since)) : spentAt
  return {
    budgetSeconds: budget / 1000,
    endsAt: new Date(endsAt).toISOString(),
    inSpecification: said === undefined ? now < spentAt : said.says === 'within',
    clockClass: said?.clockClass ?? null,
  }
}

/** What the node's clock classes say; a single one that is out of specification decides. */
function verdictOf(view: NodeView) {
  const said = view.resources.flatMap((clock) => {
    const { kind, metrics, since, notAfter, receivedAt } = clock
    const { clockClass } = metrics
    const found = clockClass === undefined ? undefined : CLOCK_CLASSES[Number(clockClass)]
    if (kind !== 'clock-class' || found === undefined) return []
    // It may be out by now; one that was out stays out, as FREERUN does.
    if (found.says === 'within' && isDoubted(view, clock)) return []
    return [{ clockClass, says: found.says, since: publishedAt(since ?? notAfter ?? receivedAt) }]
  })
  const [firstOut] = said.filter(({ says }) => says === 'out').sort((a, b) => a.since - b.since)
  return firstOut ?? said[0]
}

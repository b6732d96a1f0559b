import { beganOf, causeOf } from '#shared/state/because.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { Holdover } from '#shared/state/holdover.ts'
import { OVERALL_KINDS, type Overall } from '#shared/state/merge/overall.ts'
import type { NodeView } from '#shared/state/view.ts'
import { milliseconds } from '#shared/time.ts'
import { escapeLabel } from '#shared/metrics.ts'
import { OVERALL } from '../http/schemas.ts'
import type { ShownNode } from '../shown.ts'

/** The metrics of each node in the order in which they are exposed; names ending in `_total` are counters. */
export const NODE_METRICS = {
  ptp_watch_node_state: '1 for the state that the node is in, 0 for the others.',
  ptp_watch_node_state_since_timestamp_seconds:
    'When the state of the node began, at the latest, in seconds since 1970; absent where that is not known.',
  ptp_watch_node_stale: '1 while nothing has confirmed the node for STALE_AFTER_SECONDS.',
  ptp_watch_node_suspect: '1 while a worse event has arrived too late to be believed; the next poll decides.',
  ptp_watch_node_cause_info: '1 for the clock that put the node in its state; absent while LOCKED.',
  ptp_watch_clock_class: 'The clock class that a clock announces.',
  ptp_watch_gnss_state:
    '1 for the state that a GNSS receiver is in. SYNCHRONIZED always has a series, another state only while it lasts.',
  ptp_watch_holdover_remaining_seconds:
    'What is left of the holdover budget of a node in HOLDOVER; 0 if a clock class says that it is out of specification.',
  ptp_watch_holdover_in_specification:
    '1 while a node in HOLDOVER is within specification, by its clock class, else by its budget.',
  ptp_watch_publisher_up: '1 if the last poll reached the publisher of the node; absent before the first.',
  ptp_watch_poll_last_success_timestamp_seconds:
    'When a poll last reached the publisher of the node, in seconds since 1970.',
  ptp_watch_missed_total: 'State changes of the clocks of the node that only a poll found.',
  ptp_watch_transitions_total: 'Changes of the state of the node.',
  ptp_watch_state_seconds_total:
    'Seconds that the node has been in each state, up to the last write of its document.',
}
type NodeMetric = keyof typeof NODE_METRICS

/** The series of one node. */
export type NodeSeries = {
  readonly overall: Overall
  /** The lines of a metric at `now` (milliseconds), each with a line break; empty if there are none. */
  lines(metric: string, now: number): string
  /** The seconds shown for each state, and the document that counts them. */
  readonly spent?: Pick<NodeState, 'incarnation'> & { readonly seconds: Readonly<Record<Overall, number>> }
}

/**
 * The series of one node, prepared as text except for what changes with time. `before`: its previous series. Undefined
 * for a node that is gone and silent, renamed or taken out of service: its last state would raise alerts for as long as
 * its document is kept.
 */
export function seriesOf(
  state: NodeState,
  view: ShownNode,
  before: NodeSeries | undefined,
): NodeSeries | undefined {
  const { publisher, counters, overall, holdover } = view
  const isGone = publisher?.goneSince !== undefined
  const isHeard = view.resources.some(({ kind, stale }) => OVERALL_KINDS.has(kind) && !stale)
  if (isGone && !isHeard) return undefined

  const { site = '', region = '' } = view.labels
  const labels = `node="${escapeLabel(view.node)}",site="${escapeLabel(site)}",region="${escapeLabel(region)}"`
  const texts: Partial<Record<string, string>> = {}
  const add: Add = (metric, value, more = {}) => {
    const own = Object.entries(more).map(([name, text]) => `,${name}="${escapeLabel(text)}"`)
    texts[metric] = `${texts[metric] ?? ''}${metric}{${labels}${own.join('')}} ${value}\n`
  }
  for (const word of OVERALL) add('ptp_watch_node_state', Number(word === overall), { state: word })
  // UNKNOWN is all that is known.
  if (state.damaged !== undefined) return { overall, lines: (metric) => texts[metric] ?? '' }
  const began = beganOf(view)
  if (began !== undefined) add('ptp_watch_node_state_since_timestamp_seconds', began.at / 1000)
  add('ptp_watch_node_stale', Number(view.stale))
  add('ptp_watch_node_suspect', Number(view.suspect))
  const cause = causeOf(view)
  if (cause.kind !== undefined) {
    add('ptp_watch_node_cause_info', 1, { clock: cause.instance ?? '', kind: cause.kind })
  }
  for (const resource of view.resources) addClock(add, resource)
  if (publisher !== null) {
    add('ptp_watch_publisher_up', Number(publisher.reachable && !isGone))
    const reachedAt = publisher.reachable ? publisher.checkedAt : publisher.reachedAt
    if (reachedAt !== undefined) {
      add('ptp_watch_poll_last_success_timestamp_seconds', milliseconds(reachedAt) / 1000)
    }
  }
  add('ptp_watch_missed_total', counters.missed)
  add('ptp_watch_transitions_total', counters.transitions)

  if (holdover !== null) add('ptp_watch_holdover_in_specification', Number(holdover.inSpecification))

  // Time since the last write is counted by the next one: if it were added here and our clock were set back, a
  // restarted process would show less, which Prometheus takes for a counter reset. It must not fall either if the store
  // lost its newest writes.
  const { incarnation } = state
  const shown = before?.spent?.incarnation === incarnation ? before.spent.seconds : undefined
  const secondsIn = (each: Overall) =>
    Math.max(shown?.[each] ?? 0, Math.floor((state.spent?.[each] ?? 0) / 1000))
  const seconds = {
    FREERUN: secondsIn('FREERUN'),
    HOLDOVER: secondsIn('HOLDOVER'),
    UNKNOWN: secondsIn('UNKNOWN'),
    LOCKED: secondsIn('LOCKED'),
  }
  for (const each of OVERALL) add('ptp_watch_state_seconds_total', seconds[each], { state: each })
  return {
    overall,
    spent: { incarnation, seconds },
    lines(metric, time) {
      if (metric !== REMAINING || holdover === null) return texts[metric] ?? ''
      return `${REMAINING}{${labels}} ${remainingOf(holdover, time)}\n`
    },
  }
}

type Add = (metric: NodeMetric, value: number, more?: Readonly<Record<string, string>>) => void

const REMAINING = 'ptp_watch_holdover_remaining_seconds'

/** In seconds, negative once the budget is used up; 0 if a clock class has ended it. */
function remainingOf({ endsAt, inSpecification, clockClass }: Holdover, now: number): number {
  if (!inSpecification && clockClass !== null) return 0
  return Math.floor((milliseconds(endsAt) - now) / 1000)
}

const SYNCHRONIZED = 'SYNCHRONIZED'

function addClock(add: Add, { kind, instance, state, metrics }: NodeView['resources'][number]): void {
  const clock = { clock: instance }
  const clockClass = Number(metrics.clockClass ?? Number.NaN)
  if (kind === 'clock-class' && Number.isFinite(clockClass)) add('ptp_watch_clock_class', clockClass, clock)
  if (kind !== 'gnss-sync-status' || state === null) return
  // One series per receiver: with one for each of the ten words, nine would always be 0.
  add('ptp_watch_gnss_state', Number(state === SYNCHRONIZED), { ...clock, state: SYNCHRONIZED })
  if (state !== SYNCHRONIZED) add('ptp_watch_gnss_state', 1, { ...clock, state })
}

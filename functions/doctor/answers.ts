import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { HttpAnswer } from '#shared/http/client.ts'
import { isSyncE, nodesNamed } from '#shared/publishers/dialects/addresses.ts'
import { milliseconds, nanoseconds } from '#shared/time.ts'
import type { Exam, Pulled } from './exam.ts'
import { amount, type Verdict } from './report.ts'
import { FIX, fixFor } from './words.ts'

const IGNORED = 'its pushed sync-state may be wrong and is ignored'

/** Publishers do not say which release they are, but their answers show it (protocol.md §5, starlingx.md). */
export function releaseOf({ client, wanted, held, kinds, pulls }: Exam): string {
  const bodies = pulls.flatMap(({ said }) => said?.body ?? [])
  const [body] = bodies
  if (client.dialect === 'red-hat-v2') {
    if (held.some(({ address }) => address.includes('/sync/synce-status/'))) return '4.20 or later'
    if (bodies.some((text) => text.includes('"ANTENNA-DISCONNECTED"'))) return `4.16 or 4.17; ${IGNORED}`
    // It publishes SyncE, but rejected those subscriptions and no others.
    const synce = wanted.filter(({ kind }) => isSyncE(kind))
    const isRefused = synce.length > 0 && kinds.size > 0 && synce.every(({ kind }) => !kinds.has(kind))
    return isRefused ? `4.17 to 4.19, without SyncE subscriptions; ${IGNORED}` : '4.16 or later'
  }
  if (client.dialect === 'red-hat-v1') {
    if (body === undefined) return 'release unknown without a CurrentState'
    if (!body.includes('"dataType"')) return `4.16 to 4.18; ${IGNORED}`
    return '4.10 to 4.15; its sync-state flaps between clocks and is ignored'
  }
  if (body === undefined) return 'notification format unknown without a CurrentState'
  // Standard: an array of events, or a single event. Legacy: a map of events by instance.
  const isStandard = /^\s*(?:\[|\{\s*"(?:id|specversion)")/.test(body)
  return `${isStandard ? 'standard' : 'legacy'} notification format`
}

/** The node named in the answers, if it is not `node`. */
export function otherNodeIn(pulls: readonly Pulled[], node: string): string | undefined {
  const named = pulls.map(({ said }) => nodesNamed(said?.body ?? ''))
  return named.find((names) => names.length > 0 && !names.includes(node))?.[0]
}

/** Whether CurrentState names the configured node; without a list of addresses nothing else shows it. */
export function checkNodeName({ client: { dialect, node }, pulls }: Exam): Verdict {
  const other = otherNodeIn(pulls, node)
  if (other !== undefined) return ['failed', `CurrentState names node ${other}`, FIX.otherNode(other, node)]
  const lists = `${dialect} has no list of addresses`
  if (pulls.some(({ said }) => said !== undefined)) return ['ok', `CurrentState names ${node}; ${lists}`]
  return ['skipped', `${lists}, and no CurrentState names the node`]
}

/** The kinds that a node may not have a clock of. */
const OPTIONAL: ReadonlySet<string> = new Set(['gnss-sync-status', 'synce-lock-state', 'synce-clock-quality'])

const isTold = ({ resource, said }: Pulled) =>
  said?.readings?.observations.some(({ kind }) => kind === resource.kind) === true

/**
 * What the publisher says about each resource. Any state passes: the check is whether it answers, not whether it is
 * LOCKED.
 */
export function checkStates({ client, held, place, pulls, merge }: Exam): Verdict[] {
  const deciding: readonly string[] = merge.overallKinds
  const decides = ({ resource }: Pulled) => deciding.includes(resource.kind)
  const isKnown = pulls.some((pulled) => decides(pulled) && isTold(pulled))
  const isStarlingX = client.dialect === 'starlingx-v2'
  return pulls.map((pulled): Verdict => {
    const { answer, resource } = pulled
    const result = `${resource.kind}: ${told(pulled)}`
    if (isTold(pulled)) return ['ok', result]
    if (answer instanceof PublisherError) {
      const isBehind = client.dialect === 'red-hat-v1' && answer.status === 400
      return ['failed', result, isBehind ? FIX.noPublisher : fixFor(answer, place)]
    }
    const isNone = answer.outcome === 'none'
    if (isNone && answer.cause === 'unregistered') return ['failed', result, FIX.unregistered]
    if (isNone && isStarlingX) return [isKnown ? 'warning' : 'failed', result, FIX.starting(client.node)]
    // It never answers without a subscription (protocol.md §2.5, §3.4).
    if (!isStarlingX && !held.some(({ address }) => address === resource.address))
      return ['skipped', `${result}: nobody is subscribed to it`]
    if (OPTIONAL.has(resource.kind))
      return ['skipped', `${result}: the node has no such clock, or its state is not known yet`]
    if (isKnown || !decides(pulled)) return ['warning', result, FIX.noClock]
    return ['failed', result, FIX.noPtp(place.shown)]
  })
}

/** What an answer says about the clocks, or why there is none. */
function told({ answer }: Pulled): string {
  if (answer instanceof PublisherError) return reasonOf(answer)
  if (answer.outcome === 'none') return answer.reason
  if (answer.readings === undefined) return `invalid JSON: ${answer.body.slice(0, 60)}`
  const { observations, placeholders, named, problems } = answer.readings
  const readings = observations.map(({ instance, state, metrics }) => {
    const numbers = Object.entries(metrics).map(([name, value]) => `${name} ${value}`)
    return `${instance} ${[...(state === undefined ? [] : [state]), ...numbers].join(', ')}`
  })
  if (readings.length > 0) return readings.join('; ')
  if (placeholders[0] !== undefined) return `a placeholder (${placeholders[0].means}), no state`
  if (named.length > 0) return 'numbers without a state'
  return problems[0]?.message ?? 'the answer names no clock'
}

/**
 * Compares the publisher's clock with ours: by the `time` of CurrentState, which is that of the query (protocol.md
 * §3.4), else by the Date header. StarlingX's times are those of the last change (starlingx.md). An offset of two
 * seconds is a warning, of a minute a failure.
 */
export function checkClock({ client: { queryTime }, health, pulls }: Exam): Verdict {
  const times = pulls.flatMap(({ said }) => {
    const at = said?.readings?.observations[0]?.at
    return said && at ? [offset(Number(nanoseconds(at) / 1_000_000n), said, 'time of CurrentState')] : []
  })
  const [timed] = times.sort((a, b) => (queryTime ? a.withinMs - b.withinMs : b.ms - a.ms))
  const date = Date.parse(health.date ?? '')
  // The header has whole seconds, rounded down.
  const dated = Number.isNaN(date) ? undefined : offset(date + 500, health, 'Date of its answer', 500)
  const found = queryTime ? (timed ?? dated) : dated
  if (found === undefined) return ['skipped', 'none of its answers has a time']
  const { ms, withinMs, by } = found
  const apart = Math.abs(ms)
  const isApart = apart > Math.max(withinMs, 1_000)
  const differs = `is ${amount(apart)} ${ms > 0 ? 'ahead of' : 'behind'} ours`
  const agrees = `agrees with ours within ${amount(Math.max(withinMs, apart))}`
  // Only times in the future show that it is the time zone, not the age of a state.
  const zoneMs = queryTime || timed === undefined || dated === undefined ? 0 : timed.ms - dated.ms
  const local = `; the times in its events are ${amount(zoneMs)} ahead: local time written as UTC`
  const result = `it ${isApart ? differs : agrees}, by the ${by}${zoneMs < 60_000 ? '' : local}`
  const off = apart - withinMs
  if (off < 2_000) return ['ok', result]
  return [off < 60_000 ? 'warning' : 'failed', result, FIX.clock]
}

type Times = Pick<HttpAnswer, 'sentAt' | 'receivedAt'>

/** How far the publisher's clock is ahead of ours, and the possible error, in ms: its time lies between our two. */
function offset(theirs: number, { sentAt, receivedAt }: Times, by: string, cutMs = 0) {
  const [sent, received] = [milliseconds(sentAt), milliseconds(receivedAt)]
  return { ms: theirs - (sent + received) / 2, withinMs: (received - sent) / 2 + 1 + cutMs, by }
}

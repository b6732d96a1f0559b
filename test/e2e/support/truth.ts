import type { Publisher } from '#local/publishers/index.ts'
import type { View } from './view.ts'

const RANKED = ['LOCKED', 'UNKNOWN', 'HOLDOVER', 'FREERUN']

/** What the clocks of a simulated node really show: `lock-state ens5fx/master` → `LOCKED`. */
export function truthOf(publisher: Publisher): Record<string, string> {
  const truth: Record<string, string> = {}
  const deciding: string[] = []
  for (const clock of publisher.describe().clocks) {
    const value = shownValue(clock)
    const name = `${clock.kind} ${clock.instance}`
    // Two configurations may discipline one clock: the worse of what they report is its state.
    truth[name] = truth[name] === undefined ? value : worse(truth[name], value)
    if (clock.kind === 'lock-state' || clock.kind === 'os-clock-sync-state') deciding.push(value)
  }
  if (deciding.length > 0) truth['sync-state node'] = deciding.reduce(worse)
  return truth
}

/** The worst of the clocks by which a node as a whole is judged. */
export function overallTruthOf(publisher: Publisher): string {
  return truthOf(publisher)['sync-state node'] ?? 'UNKNOWN'
}

/** What the store shows of a node, in the same words as {@link truthOf}. */
export function shownOf({ resources }: View): Record<string, string> {
  return Object.fromEntries(
    resources.map(({ kind, instance, state, metrics }) => [
      `${kind} ${instance}`,
      state ?? shownValue({ kind, clockClass: '', ql: '', extQl: '', ...metrics }),
    ]),
  )
}

function shownValue(clock: {
  readonly kind: string
  readonly state?: string
  readonly clockClass: string
  readonly ql: string
  readonly extQl: string
}): string {
  if (clock.kind === 'clock-class') return String(Number(clock.clockClass))
  if (clock.kind === 'synce-clock-quality') return `${Number(clock.ql)}/${Number(clock.extQl)}`
  return clock.state ?? 'UNKNOWN'
}

function worse(a: string, b: string): string {
  if (Number(a) >= 0 && Number(b) >= 0) return Number(a) > Number(b) ? a : b
  return RANKED.indexOf(a) > RANKED.indexOf(b) ? a : b
}

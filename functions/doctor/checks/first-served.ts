import { othersIn, type Situation } from '#shared/publishers/reconcile/plan.ts'
import { redact } from '#shared/redact.ts'

/** Who goes without events since StarlingX's sidecar serves the first matching subscription alone (starlingx.md). */
export type Unserved = {
  /** `others`: a subscription of somebody else comes after one of ours. */
  readonly who: 'ours' | 'others'
  /** Ours are served only as long as each notification comes in twice. */
  readonly sometimes: boolean
  readonly text: string
}

/** Undefined where ours and those of others do not meet. `kinds`: those of which ours is held. */
export function unservedIn(situation: Situation, kinds: ReadonlySet<string>): Unserved | undefined {
  const { held, wanted, callback, node } = situation
  const others = othersIn(situation)
  const endpoint = callback.endpointFor(node)
  // Once there is a subscription to all, each notification comes in twice, and the first two are served.
  const served = held.some(({ address }) => pathOf(address) === '/sync') ? 2 : 1
  const before = new Set<string>()
  const starved = new Set<string>()
  const after = new Set<string>()
  const shown = new Set<string>()
  for (const { kind, address } of wanted.filter((resource) => kinds.has(resource.kind))) {
    const own = held.findIndex((one) => one.address === address && one.endpoint === endpoint)
    const matching = others.filter((other) => matches(other.address, address))
    const first = matching.filter((other) => held.indexOf(other) < own)
    for (const other of first) shown.add(redact(other.endpoint))
    if (first.length > 0) before.add(kind)
    if (first.length >= served) starved.add(kind)
    if (first.length + 1 >= served && matching.length > first.length) after.add(kind)
  }
  const list = (set: ReadonlySet<string>) => [...set].join(' ')
  if (before.size > 0) {
    const lost = starved.size > 0 ? starved : before
    const text = `another consumer is served before us: ${list(lost)} (${[...shown].join(', ')})`
    return { who: 'ours', sometimes: starved.size === 0, text }
  }
  if (after.size === 0) return undefined
  return { who: 'others', sometimes: false, text: `another consumer comes after us: ${list(after)}` }
}

/** As the sidecar compares: what begins alike, of the same node, of all, or of its own. Instances do not matter. */
function matches(other: string, ours: string): boolean {
  const [theirs, own] = [pathOf(other), pathOf(ours)]
  const node = nodeOf(other)
  return (
    theirs !== undefined &&
    own?.startsWith(theirs) === true &&
    (node === '.' || node === '*' || node === nodeOf(ours))
  )
}

const pathOf = (address: string) => /\/sync(?:\/.*)?$/i.exec(address)?.[0].toLowerCase()
const nodeOf = (address: string) => address.split('/')[2]

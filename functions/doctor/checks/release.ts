import type { Report } from '../report.ts'
import type { Pulled } from './pulls.ts'
import type { Reached } from './reach.ts'
import type { Held } from './subscriptions.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'

/** A generation of a publisher, as far as its answers tell, and what there is to know of it. */
type Generation = { readonly release: string; readonly remark: string }

/** Reports what the publisher speaks, and of which release it looks to be. */
export function checkDialect(
  report: Report,
  reached: Reached,
  published: readonly string[],
  held: Held,
  pulls: readonly Pulled[],
): void {
  const { release, remark } = generationOf(reached.client.dialect, published, held, pulls)
  report.ok('dialect', 'what its answers look like', `${reached.client.dialect}, ${release}${remark}`)
}

/** No release says what it is; each has traits that its answers show (protocol.md §5, starlingx.md). */
function generationOf(
  dialect: Reached['client']['dialect'],
  published: readonly string[],
  held: Held,
  pulls: readonly Pulled[],
): Generation {
  const bodies = pulls.flatMap((pulled) => (pulled.outcome === 'answered' ? [pulled.answer.body] : []))
  switch (dialect) {
    case 'red-hat-v1':
      return generationOfV1(bodies)
    case 'red-hat-v2':
      return generationOfV2(published, held, bodies)
    case 'starlingx-v2':
      return generationOfStarlingX(bodies)
  }
}

function generationOfV1([body]: readonly string[]): Generation {
  if (body === undefined) return { release: 'release not told without a CurrentState', remark: '' }
  return body.includes('"dataType"')
    ? { release: '4.10 to 4.15', remark: ': its sync-state flaps between clocks, and is not relied upon' }
    : { release: '4.16 to 4.18', remark: ': its pushed sync-state may be wrong, and is not relied upon' }
}

function generationOfV2(published: readonly string[], held: Held, bodies: readonly string[]): Generation {
  const { situation, kinds } = held
  const synce = published.filter(isSyncE)
  if (situation.held.some(({ address }) => address.includes('/sync/synce-status/'))) {
    return { release: '4.20 or later', remark: '' }
  }
  const old = ': its pushed sync-state may be wrong, and is not relied upon'
  const untaken = synce.length > 0 && kinds.size > 0 && synce.every((kind) => !kinds.has(kind))
  if (bodies.some((body) => body.includes('"ANTENNA-DISCONNECTED"'))) {
    return { release: '4.16 or 4.17', remark: old }
  }
  if (untaken) return { release: '4.17 to 4.19, which take no SyncE subscriptions', remark: old }
  return { release: '4.16 or later', remark: '' }
}

function generationOfStarlingX(bodies: readonly string[]): Generation {
  const [body] = bodies
  if (body === undefined) return { release: 'format not told without a CurrentState', remark: '' }
  // Standard: an array of events, or the event itself. Legacy: a map of them by instance (starlingx.md).
  const isLegacy = !body.trimStart().startsWith('[') && !/^\s*\{\s*"(?:id|specversion)"/.test(body)
  return { release: `${isLegacy ? 'legacy' : 'standard'} notification format`, remark: '' }
}

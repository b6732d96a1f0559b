import { PublisherError } from '#shared/errors.ts'
import { normalise } from '#shared/events/normalise.ts'
import type { NodeState } from '#shared/state/document.ts'
import { milliseconds } from '#shared/time.ts'
import type { CallOptions, Client, CurrentState, Resource } from '#shared/publishers/dialects/client.ts'

/** A kind that a host lacks, as its document has it. */
export type Lacking = NonNullable<NodeState['lacking']>[number]

/** Asked for again after this, in ms: a publisher may be upgraded, a host may get the hardware. */
const ASK_AGAIN_MS = 3_600_000

/** The kinds on record that are not to be asked for yet. What one dialect refused says nothing of another. */
export function stillLacking(state: NodeState | undefined, client: Client, now: number): readonly Lacking[] {
  if (state?.publisher?.dialect !== client.dialect) return []
  return (
    state.lacking?.filter(({ refusedAt }) => Math.abs(now - milliseconds(refusedAt)) < ASK_AGAIN_MS) ?? []
  )
}

/** A create that came to nothing. */
export type Refusal = {
  readonly resource: Resource
  readonly endpoint?: string
  /** For people, redacted. */
  readonly reason: string
  readonly error?: PublisherError
  /** 404: the publisher takes no subscription to it, or is warming up. */
  readonly isNotTaken?: boolean
}

/**
 * Whether a pull of a refused kind has nothing to show either, so that the host lacks it; undefined where it may have
 * it. `answers`: the pull was answered, with nothing in it, which is proof. A pull that is refused too is none, since
 * some publishers answer only for what is subscribed to: then a 404 counts, from one that `takesOthers` now.
 */
export async function emptinessOf(
  client: Client,
  { resource, isNotTaken = false }: Refusal,
  takesOthers: boolean,
  call: CallOptions,
): Promise<{ readonly answers: boolean } | undefined> {
  try {
    const state = await client.currentState(resource.address, call)
    if (state.outcome === 'answered') return isEmpty(state, client.node) ? { answers: true } : undefined
    return isNotTaken && takesOthers && state.cause === 'unknown' ? { answers: false } : undefined
  } catch (error) {
    if (error instanceof PublisherError) return undefined
    throw error
  }
}

function isEmpty(
  { body, receivedAt }: Extract<CurrentState, { outcome: 'answered' }>,
  node: string,
): boolean {
  try {
    const { observations, named, placeholders, problems } = normalise(JSON.parse(body), {
      node,
      receivedAt,
      via: 'poll',
    })
    return observations.length + named.length + placeholders.length + problems.length === 0
  } catch (error) {
    if (error instanceof SyntaxError) return body.trim() === ''
    throw error
  }
}

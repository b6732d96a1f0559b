import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { Answer, CallOptions } from '#shared/http/client.ts'
import type { Client, HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import type { Publishers } from '#shared/publishers/open.ts'
import type { Place, Target } from '#shared/publishers/target.ts'
import type { Host } from '#shared/runtime/function.ts'
import type { NodeState } from '#shared/state/document.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import { fixFor } from './words.ts'

/** What is checked once, and what of each publisher, in the order of the output. */
export const WHOLE = ['publishers', 'node-labels', 'store', 'callback-token', 'ingest', 'sink'] as const
export const EACH = [
  ...(['dns', 'health', 'dialect', 'addresses', 'subscriptions', 'callback'] as const),
  ...(['current-state', 'clock', 'events', 'state', 'metrics'] as const),
] as const

export type Check = (typeof WHOLE)[number] | (typeof EACH)[number]

/** `warning`: events arrive, but something needs attention. `skipped`: not applicable, or not possible. */
export type Status = 'ok' | 'warning' | 'failed' | 'skipped'

/** How a check ended, what was found, and the next step, if one is needed. All texts are for people, redacted. */
export type Verdict = readonly [status: Status, result: string, fix?: string]

export type Verdicts = { [check in Check]?: readonly Verdict[] | undefined }

/** The result of a check that an earlier failure prevented. */
export const NOT_CHECKED = 'not checked: fix the failure above first'

export type Finding = ReturnType<typeof findingsOf>[number]

/** The lines of a diagnosis, in the order of `checks`. `node`: null for what concerns all publishers. */
export function findingsOf(node: string | null, checks: readonly Check[], verdicts: Verdicts) {
  const none: readonly Verdict[] = [['skipped', NOT_CHECKED]]
  return checks.flatMap((check) =>
    (verdicts[check] ?? none).map(([status, result, fix = '']) => ({ node, check, status, result, fix })),
  )
}

/** What the checks of all publishers share. */
export type Doctor = Pick<Publishers, 'registry' | 'http' | 'others' | 'callback' | 'journal'> &
  Pick<Host, 'clock' | 'newId'> & {
    readonly store: Pick<Store, 'read' | 'log'>
    readonly settings: MergeSettings
    /** The wanted kinds. */
    readonly wantedKinds: readonly string[]
    /** The nodes of every configured publisher. */
    readonly configured: ReadonlySet<string>
    /** Discovered publishers whose node name is not known yet, with the reason. */
    readonly unnamed: ReadonlyMap<Target, string>
    readonly storeUp: boolean
    /** Ingest answered a request from here. */
    readonly ingestUp: boolean
    /** The store is in the memory of this process: it cannot show what ingest received. */
    readonly ownStore: boolean
  }

/** One publisher, with what it answered so far. */
export type Asked = Doctor & { readonly target: Target; readonly place: Place; readonly call: CallOptions }
export type Reached = Asked & { readonly client: Client; readonly health: Answer }
export type Exam = Reached & {
  /** Our document of its node. */
  readonly state: NodeState | undefined
  /** The wanted resources that it offers. */
  readonly wanted: readonly Resource[]
  readonly held: readonly HeldSubscription[]
  /** The wanted kinds for which a current subscription of ours is there. */
  readonly kinds: ReadonlySet<string>
  /** How many subscriptions other consumers have. */
  readonly foreign: number
  readonly pulls: readonly Pulled[]
}

export type Pulled = Awaited<ReturnType<typeof pullAll>>[number]

/** Pulls resources; writes nothing. `said`: an answer that tells a state, or may. */
export function pullAll({ client, call }: Pick<Reached, 'client' | 'call'>, resources: readonly Resource[]) {
  return Promise.all(
    resources.map(async (resource) => {
      const answer = await tried(client.currentState(resource.address, call))
      const said = 'outcome' in answer && answer.outcome === 'answered' ? answer : undefined
      return { resource, answer, said }
    }),
  )
}

/** A failure after which the later checks of a publisher have nothing to go by. */
export class Stop extends Error {
  readonly check: Check
  readonly fix: string

  constructor(check: Check, result: string, fix: string) {
    super(result)
    this.check = check
    this.fix = fix
  }
}

/** @throws Stop with advice, if the publisher does not answer as it should. */
export async function answered<T>({ place }: Asked, check: Check, asked: Promise<T>): Promise<T> {
  const answer = await tried(asked)
  if (answer instanceof PublisherError) throw new Stop(check, reasonOf(answer), fixFor(answer, place))
  return answer
}

/** `1 node`, `2 nodes`. */
export const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`

/** A time span: `12 ms`, `1.5 s`, `3 min`, `2.0 h`, `5.0 days`. */
export function amount(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} days`
}

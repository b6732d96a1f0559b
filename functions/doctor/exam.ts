import type { Callback } from '#shared/callback.ts'
import { PublisherError, reasonOf, tried } from '#shared/errors.ts'
import type { Answer, CallOptions, Http } from '#shared/http/client.ts'
import type { Client, CurrentState, HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import type { JournalDeps } from '#shared/publishers/reconcile/journal.ts'
import type { Place, Target } from '#shared/publishers/target.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import type { Check } from './report.ts'
import { fixFor } from './words.ts'

/** What the checks of all publishers share. */
export type DoctorDeps = JournalDeps & {
  readonly store: Pick<Store, 'log'>
  readonly registry: Registry
  readonly http: Pick<Http, 'request'>
  /** For servers that are no publishers: without the credentials for publishers. */
  readonly others: Pick<Http, 'request'>
  readonly callback: Callback
  readonly settings: MergeSettings
  readonly newId: () => string
  /** The wanted kinds. */
  readonly kinds: readonly string[]
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

/** One publisher under examination. */
export type Exam = {
  readonly deps: DoctorDeps
  readonly target: Target
  readonly place: Place
  readonly call: CallOptions
}

/** A publisher that answered its health check. */
export type Reached = Exam & { readonly client: Client; readonly health: Answer }

/** A publisher whose subscriptions are known. */
export type Listed = Reached & {
  /** The wanted resources that it offers. */
  readonly wanted: readonly Resource[]
  readonly held: readonly HeldSubscription[]
  /** The wanted kinds for which a current subscription of ours is there. */
  readonly kinds: ReadonlySet<string>
  /** Subscriptions of other consumers. */
  readonly foreign: number
}

/** What one pull brought. */
export type Pulled = {
  readonly resource: Resource
  readonly answer: CurrentState | { readonly outcome: 'failed'; readonly error: PublisherError }
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
export async function answered<T>({ place }: Exam, check: Check, asked: Promise<T>): Promise<T> {
  const answer = await tried(asked)
  if (answer instanceof PublisherError) throw new Stop(check, reasonOf(answer), fixFor(answer, place))
  return answer
}

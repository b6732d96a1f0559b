import type { Callback } from '#shared/callback.ts'
import { PublisherError, reasonOf } from '#shared/errors.ts'
import type { Answer, CallOptions, Http } from '#shared/http/client.ts'
import type { Client, HeldSubscription, Resource } from '#shared/publishers/dialects/client.ts'
import type { Registry } from '#shared/publishers/dialects/registry.ts'
import type { JournalDeps } from '#shared/publishers/reconcile/journal.ts'
import type { Place, Target } from '#shared/publishers/target.ts'
import type { MergeSettings } from '#shared/state/merge/draft.ts'
import type { Store } from '#shared/state/store/store.ts'
import { fixFor } from './advice.ts'
import { type Check, type Report, Stop } from './report.ts'

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
  readonly report: Report
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

/** @throws Stop with advice, if the publisher does not answer `ask` as it should. */
export function asking<T>({ place }: Exam, check: Check, ask: () => Promise<T>): Promise<T> {
  return ask().catch((error: unknown) => {
    if (!(error instanceof PublisherError)) throw error
    throw new Stop(check, reasonOf(error), fixFor(error, place))
  })
}

/** The times and kinds that the merge rules go by, all in milliseconds. Defaults are those of design.md §7. */
export type MergeSettings = {
  /** A clock that nothing has confirmed for this long is stale. */
  readonly staleAfterMs: number
  /** Pushes may still be queued at a publisher for this long. */
  readonly settleMs: number
  /** Pushes may arrive out of order by this much; more is the publisher's clock having been moved. */
  readonly reorderMs: number
  /** The kinds of which a LOCKED node needs a LOCKED clock each. */
  readonly overallKinds: readonly string[]
}

export const defaultSettings: MergeSettings = {
  staleAfterMs: 180_000,
  settleMs: 5_000,
  reorderMs: 60_000,
  overallKinds: ['lock-state', 'os-clock-sync-state'],
}

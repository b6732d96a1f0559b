/** What is checked once, and what of each publisher, in the order of the output. */
export const WHOLE = ['publishers', 'node-labels', 'store', 'callback-token', 'ingest', 'sink'] as const
export const EACH = [
  ...(['dns', 'health', 'dialect', 'addresses', 'subscriptions', 'callback'] as const),
  ...(['current-state', 'clock', 'events', 'state', 'metrics'] as const),
] as const

export type Check = (typeof WHOLE)[number] | (typeof EACH)[number]

/** `warning`: events arrive, but something needs attention. `skipped`: not applicable, or not possible. */
export type Status = 'ok' | 'warning' | 'failed' | 'skipped'

/** One line of the diagnosis. All texts are for people, redacted. */
export type Finding = {
  /** Null for what concerns all publishers. */
  readonly node: string | null
  readonly check: Check
  readonly status: Status
  /** What was found. */
  readonly result: string
  /** The next step; empty where none is needed. */
  readonly fix: string
}

/** How a check ended, what was found, and the next step. */
export type Verdict = readonly [status: Status, result: string, fix?: string]

/** Collects the findings of one node, or those that concern all. */
export type Report = {
  add(check: Check, ...verdicts: readonly Verdict[]): void
  /** In the order of `checks`; a check without a finding is skipped: an earlier one has failed. */
  findings(checks: readonly Check[]): Finding[]
}

/** The result of a check that an earlier failure prevented. */
export const NOT_CHECKED = 'not checked: fix the failure above first'

export function createReport(node: string | null): Report {
  const found = new Map<Check, readonly Verdict[]>()
  return {
    add: (check, ...verdicts) => void found.set(check, verdicts),
    findings: (checks) =>
      checks.flatMap((check) =>
        (found.get(check) ?? [['skipped', NOT_CHECKED] as const]).map(
          ([status, result, fix = '']): Finding => ({ node, check, status, result, fix }),
        ),
      ),
  }
}

/** `1 node`, `2 nodes`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

/** A time span: `12 ms`, `1.5 s`, `3 min`, `2.0 h`, `5.0 days`. */
export function amount(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} days`
}

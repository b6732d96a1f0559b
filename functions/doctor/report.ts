/** What is checked once, and what of each publisher, in the order of the output. */
export const WHOLE = ['publishers', 'store', 'callback-token', 'ingest', 'sink'] as const
export const EACH = [
  'dns',
  'health',
  'dialect',
  'addresses',
  'subscriptions',
  'callback',
  'current-state',
  'clock',
  'events',
  'state',
  'metrics',
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

/** Collects the findings of one node, or those that concern all. */
export type Report = {
  add(check: Check, verdict: Verdict): void
  /** In the order of `checks`; a check without a finding is skipped: an earlier one has failed. */
  findings(checks: readonly Check[]): Finding[]
}

/** The result of a check that an earlier failure prevented. */
export const NOT_CHECKED = 'not checked: fix the failure above first'

export function createReport(node: string | null): Report {
  const found: Finding[] = []
  return {
    add: (check, [status, result, fix = '']) => void found.push({ node, check, status, result, fix }),
    findings: (checks) =>
      checks.flatMap((check): Finding[] => {
        const own = found.filter((finding) => finding.check === check)
        return own.length > 0 ? own : [{ node, check, status: 'skipped', result: NOT_CHECKED, fix: '' }]
      }),
  }
}

/** `1 node`, `2 nodes`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

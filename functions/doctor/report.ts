/** What is looked at for the whole, and for each publisher, in the order that people read it. */
export const WHOLE = ['publishers', 'store', 'callback-token', 'callback-here', 'sink'] as const
export const EACH = [
  'name',
  'health',
  'dialect',
  'addresses',
  'subscriptions',
  'callback',
  'current-state',
  'clock',
  'events',
  'state',
  'figures',
] as const

export type Check = (typeof WHOLE)[number] | (typeof EACH)[number]

/** `warning`: events come, but something should be looked at. `skipped`: it could not be asked, or says nothing here. */
export type Result = 'ok' | 'warning' | 'failed' | 'skipped'

/** One line of what was found. All texts are for people, redacted. */
export type Finding = {
  /** Null for what concerns the whole. */
  readonly node: string | null
  readonly check: Check
  readonly result: Result
  readonly asked: string
  readonly came: string
  /** Empty where there is nothing to do. */
  readonly todo: string
}

/** Collects what is found of one node, or of the whole. */
export type Report = {
  ok(check: Check, asked: string, came: string): void
  warning(check: Check, asked: string, came: string, todo: string): void
  failed(check: Check, asked: string, came: string, todo: string): void
  skipped(check: Check, asked: string, came: string, todo?: string): void
  /** In the order of `checks`; those of which nothing was said are skipped, since others have failed. */
  findings(checks: readonly Check[]): Finding[]
}

export function createReport(node: string | null): Report {
  const found: Finding[] = []
  const add = (result: Result, check: Check, asked: string, came: string, todo = '') => {
    found.push({ node, check, result, asked, came, todo })
  }
  return {
    ok: (check, asked, came) => add('ok', check, asked, came),
    warning: (...finding) => add('warning', ...finding),
    failed: (...finding) => add('failed', ...finding),
    skipped: (...finding) => add('skipped', ...finding),
    findings: (checks) =>
      checks.flatMap((check): Finding[] => {
        const about = found.filter((finding) => finding.check === check)
        return about.length > 0 ? about : [{ node, check, result: 'skipped', ...UNASKED }]
      }),
  }
}

/** What is said of a check that had nothing to go by. */
export const UNASKED = { asked: 'nothing', came: 'what failed above has to be put right first', todo: '' }

import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import * as z from 'zod/mini'

const MANIFEST = new URL('../../../knative/components/monitoring/rules.yaml', import.meta.url)

const rule = z.looseObject({
  alert: z.string(),
  expr: z.string(),
  for: z.optional(z.string()),
  keep_firing_for: z.optional(z.string()),
  labels: z.object({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.strictObject({ summary: z.string(), description: z.string(), runbook_url: z.string() }),
})
const spec = z.object({
  groups: z.array(z.looseObject({ name: z.string(), interval: z.string(), rules: z.array(rule) })),
})
export type Rules = z.infer<typeof spec>

/** What the PrometheusRule says, as a rule file of Prometheus has it. */
export function shippedRules(): Rules {
  return z.object({ spec }).parse(parse(readFileSync(MANIFEST, 'utf8'))).spec
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000 }
const DURATION = /^(\d+)([sm])$/

/** A duration of Prometheus, `15s` or `2m`, multiplied. */
export function scaledDuration(text: string, factor: number): string {
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  const each = UNITS[unit]
  if (each === undefined) throw new Error(`${text} is not a duration in seconds or minutes`)
  return `${Math.round(Number(count) * each * factor)}ms`
}

/**
 * The same rules on a faster clock: every time in them is multiplied, for a test that cannot wait for minutes. Times are
 * `interval`, `for`, `keep_firing_for`, ranges, and seconds that an expression compares by `<` and `>`; what it counts it
 * compares by `>=` and `==`, which stays.
 */
export function scaledRules({ groups }: Rules, factor: number): Rules {
  return {
    groups: groups.map((group) => ({
      ...group,
      interval: scaledDuration(group.interval, factor),
      rules: group.rules.map((each) => ({
        ...each,
        expr: each.expr
          .replace(/\[(\w+)\]/g, (_, range: string) => `[${scaledDuration(range, factor)}]`)
          .replace(
            /( [<>] )([\d.]+)/g,
            (_, sign: string, seconds: string) => `${sign}${Number(seconds) * factor}`,
          ),
        ...(each.for && { for: scaledDuration(each.for, factor) }),
        ...(each.keep_firing_for && { keep_firing_for: scaledDuration(each.keep_firing_for, factor) }),
      })),
    })),
  }
}

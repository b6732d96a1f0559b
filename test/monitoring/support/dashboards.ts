import { readFileSync } from 'node:fs'
import { DASHBOARDS } from '../../../knative/dashboards.ts'

/** The dashboards as they are shipped, by their path under knative/. */
export function shippedDashboards(): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(DASHBOARDS).map((path) => {
      const text = readFileSync(new URL(`../../../knative/${path}`, import.meta.url), 'utf8')
      return [path, JSON.parse(text)]
    }),
  )
}

/** All queries of the shipped dashboards, those of variables included, with everything chosen. */
export function dashboardQueries(): string[] {
  const found = Object.values(shippedDashboards()).flatMap(queriesIn)
  return [...new Set(found.map((query) => query.replace(/\$(region|site|node)/g, '.*')))]
}

function queriesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    if (typeof inner !== 'string') return queriesIn(inner)
    if (key === 'expr') return [inner]
    const [, series, label] = key === 'query' ? (/^label_values\((.*), (\w+)\)$/.exec(inner) ?? []) : []
    return series === undefined ? [] : [`count by (${label}) (${series})`]
  })
}

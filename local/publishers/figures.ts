import { plain } from './http/go-mux.ts'
import { createHost, type Host } from './http/server.ts'
import type { PublisherOptions } from './publisher.ts'

type Labels = Readonly<Record<string, string>>

/** What a proxy or a sidecar of Red Hat counts of itself: gauges used as counters, gone with a restart. */
export interface Figures {
  count(name: FigureName, labels: Labels, by?: number): void
  /** As after a restart. */
  clear(): void
  /** Prometheus text format. */
  text(): string
}

const HELP = {
  cne_events_received: 'Metric to get number of events received',
  cne_api_events_published: 'Metric to get number of events published by the rest api',
  cne_api_subscriptions: 'Metric to get number of subscriptions',
  cne_transport_events_received: 'Metric to get number of events received by the transport',
} as const

export type FigureName = keyof typeof HELP

export function createFigures(): Figures {
  const series = new Map<string, { readonly name: FigureName; value: number }>()
  return {
    count(name, labels, by = 1) {
      const shown = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
      const key = `${name}{${shown.join(',')}}`
      const one = series.get(key) ?? { name, value: 0 }
      one.value += by
      series.set(key, one)
    },
    clear: () => series.clear(),
    text() {
      const byName = Map.groupBy([...series], ([, { name }]) => name)
      return [...byName]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([name, lines]) => [
          `# HELP ${name} ${HELP[name]}`,
          `# TYPE ${name} gauge`,
          ...lines.map(([key, { value }]) => `${key} ${value}`),
        ])
        .map((line) => `${line}\n`)
        .join('')
    },
  }
}

/** `GET /metrics` on a port of its own, as `--metrics-addr` has it; undefined where none was asked for. */
export function createFiguresHost(
  { host, metricsPort }: Pick<PublisherOptions, 'host' | 'metricsPort'>,
  figures: Figures,
): Host | undefined {
  if (metricsPort === undefined) return undefined
  return createHost({ ...(host === undefined ? {} : { host }), port: metricsPort }, ({ path }) =>
    path === '/metrics' ? plain(200, figures.text()) : plain(404, '404 page not found\n'),
  )
}

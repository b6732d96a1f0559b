/**
 * A registry of our own: importing prom-client takes longer than all the rest of a function, and start-up time is
 * what matters for a function that scales to zero.
 */

/** Label names with every value they can have: the set of series is closed, and each starts at 0. */
type LabelSets = Readonly<Record<string, readonly string[]>>
type LabelsOf<L extends LabelSets> = { readonly [K in keyof L]: L[K][number] }

type Definition<L extends LabelSets> = {
  /** `ptp_watch_…`, in base units (`_seconds`, `_bytes`); a counter ends in `_total`. */
  readonly name: string
  readonly help: string
  readonly labels?: L
}

type Counter<L extends LabelSets> = {
  /** Adds `by` (default 1, never negative) to the series with these labels. */
  inc(labels: LabelsOf<L>, by?: number): void
}
type Gauge<L extends LabelSets> = { set(labels: LabelsOf<L>, value: number): void }
type Histogram<L extends LabelSets> = { observe(labels: LabelsOf<L>, value: number): void }

/** Metrics are defined once each: a name that is already in use is a RangeError. */
export type Metrics = {
  counter<const L extends LabelSets = Record<never, never>>(definition: Definition<L>): Counter<L>
  gauge<const L extends LabelSets = Record<never, never>>(definition: Definition<L>): Gauge<L>
  /** `buckets` are upper bounds in ascending order, without infinity. */
  histogram<const L extends LabelSets = Record<never, never>>(
    definition: Definition<L> & { readonly buckets: readonly number[] },
  ): Histogram<L>
  /** A metric whose value is read at every scrape. */
  read(type: 'counter' | 'gauge', definition: Definition<never> & { readonly read: () => number }): void
  /** Prometheus text exposition format 0.0.4, in order of definition. */
  text(): string
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** An empty registry, one per process; tests create their own. */
export function createMetrics(): Metrics {
  const families = new Map<string, () => string>()

  const add = (type: string, { name, help }: Definition<LabelSets>, lines: () => string[]) => {
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new RangeError(`${name} is no name of a metric`)
    if (families.has(name)) throw new RangeError(`The metric ${name} is defined twice`)
    const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`
    families.set(name, () => `${head}${lines().join('\n')}\n`)
  }

  const addScalar = <L extends LabelSets>(type: string, definition: Definition<L>) => {
    const series = createSeries(definition, () => ({ value: 0 }))
    add(type, definition, () => series.all((text, cell) => [sample(definition.name, text, cell.value)]))
    return series
  }

  return {
    counter(definition) {
      const { name } = definition
      if (!name.endsWith('_total')) throw new RangeError(`The counter ${name} must end in _total`)
      const series = addScalar('counter', definition)
      return {
        inc(labels, by = 1) {
          if (!(by >= 0)) throw new RangeError(`The counter ${name} cannot go down`)
          series.at(labels).value += by
        },
      }
    },
    gauge(definition) {
      const series = addScalar('gauge', definition)
      return {
        set(labels, value) {
          series.at(labels).value = value
        },
      }
    },
    histogram(definition) {
      const { name, buckets } = definition
      const series = createSeries(definition, () => ({ counts: buckets.map(() => 0), count: 0, sum: 0 }))
      add('histogram', definition, () =>
        series.all((text, cell) => {
          let below = 0
          const bars = buckets.map((bound, i) => {
            below += cell.counts[i] ?? 0
            return sample(`${name}_bucket`, join(text, `le="${bound}"`), below)
          })
          return [
            ...bars,
            sample(`${name}_bucket`, join(text, 'le="+Inf"'), cell.count),
            sample(`${name}_sum`, text, cell.sum),
            sample(`${name}_count`, text, cell.count),
          ]
        }),
      )
      return {
        observe(labels, value) {
          const cell = series.at(labels)
          const i = buckets.findIndex((bound) => value <= bound)
          if (i >= 0) cell.counts[i] = (cell.counts[i] ?? 0) + 1
          cell.count += 1
          cell.sum += value
        },
      }
    },
    read(type, definition) {
      add(type, definition, () => [sample(definition.name, '', definition.read())])
    },
    text: () => [...families.values()].map((family) => family()).join(''),
  }
}

/** All series of one metric, created up front so that each is exposed before it first counts. */
function createSeries<L extends LabelSets, C>(definition: Definition<L>, cell: () => C) {
  const sets = Object.entries(definition.labels ?? {})
  let keys = [{ key: '', text: '' }]
  for (const [label, values] of sets) {
    keys = keys.flatMap(({ key, text }) =>
      values.map((value) => ({
        key: `${key}${value}\n`,
        text: join(text, `${label}="${escapeLabel(value)}"`),
      })),
    )
  }
  const cells = new Map(keys.map(({ key, text }) => [key, { text, cell: cell() }]))
  return {
    at(labels: LabelsOf<L>): C {
      let key = ''
      for (const [label] of sets) key += `${labels[label]}\n`
      const found = cells.get(key)
      if (found === undefined) {
        throw new RangeError(`The metric ${definition.name} has no series ${JSON.stringify(labels)}`)
      }
      return found.cell
    },
    all: (lines: (text: string, cell: C) => string[]) =>
      [...cells.values()].flatMap(({ text, cell }) => lines(text, cell)),
  }
}

const join = (labels: string, label: string) => (labels === '' ? label : `${labels},${label}`)

function sample(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${numeral(value)}`
}

function numeral(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

const escapeHelp = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
/** A text escaped as a label value. */
export const escapeLabel = (text: string) => escapeHelp(text).replaceAll('"', '\\"')

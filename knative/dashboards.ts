import { mkdirSync, writeFileSync } from 'node:fs'

/**
 * The dashboards of Grafana and of OpenShift's console, of one list of panels. `npm run docs` writes them. The console
 * reads Grafana's old format, with rows, and knows only these kinds of panels.
 */
type Panel = {
  readonly title: string
  readonly kind: 'number' | 'lines' | 'table'
  readonly expr: string
  /** What a line is called, in Grafana's form: `{{node}}`. */
  readonly legend?: string
  readonly unit?: 's' | 'percentunit' | 'short'
  /** In columns, of 24. */
  readonly width: number
}
type Row = { readonly title: string; readonly panels: readonly Panel[] }

/** What of the fleet is shown: by the variables at the top. */
const CHOSEN = 'region=~"$region",site=~"$site"'
const NODE = 'node=~"$node"'
/** One value a node, also while two pods of status serve it. */
const byNode = (selector: string) => `max by (region, site, node) (${selector})`
const inState = (state: string) => byNode(`ptp_watch_node_state{${CHOSEN},state="${state}"}`)
const WORSE = `(max by (region, site, node, state) (ptp_watch_node_state{${CHOSEN},${NODE},state!="LOCKED"}) == 1)`
const CAUSE = `max by (region, site, node, kind, clock) (ptp_watch_node_cause_info{${CHOSEN},${NODE}})`

export const ROWS: readonly Row[] = [
  {
    title: 'Fleet',
    panels: [
      ...['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED'].map(
        (state): Panel => ({ title: state, kind: 'number', expr: `sum(${inState(state)})`, width: 4 }),
      ),
      {
        title: 'Last poll',
        kind: 'number',
        expr: 'time() - max(ptp_watch_poll_last_success_timestamp_seconds)',
        unit: 's',
        width: 4,
      },
      { title: 'Store up', kind: 'number', expr: 'min(ptp_watch_store_up)', width: 4 },
      {
        title: 'Nodes by state',
        kind: 'lines',
        expr: `sum by (state) (max by (region, site, node, state) (ptp_watch_node_state{${CHOSEN}}))`,
        legend: '{{state}}',
        width: 24,
      },
    ],
  },
  {
    title: 'Sites',
    panels: [
      {
        title: 'Nodes not LOCKED, by site',
        kind: 'lines',
        expr: `sum by (region, site) (1 - ${inState('LOCKED')})`,
        legend: '{{region}} {{site}}',
        width: 12,
      },
      {
        title: 'Time LOCKED in the last hour, of time with a known state',
        kind: 'lines',
        expr: [
          `sum by (region, site) (max by (region, site, node, state) (increase(ptp_watch_state_seconds_total{${CHOSEN},state="LOCKED"}[1h])))`,
          `sum by (region, site) (max by (region, site, node, state) (increase(ptp_watch_state_seconds_total{${CHOSEN},state!="UNKNOWN"}[1h])))`,
        ].join(' / '),
        legend: '{{region}} {{site}}',
        unit: 'percentunit',
        width: 12,
      },
    ],
  },
  {
    title: 'Nodes',
    panels: [
      {
        title: 'Nodes that are not LOCKED, and the clock that is why',
        kind: 'table',
        expr: `(${WORSE} * on (region, site, node) group_left (kind, clock) topk by (region, site, node) (1, ${CAUSE})) or (${WORSE} unless on (region, site, node) ${CAUSE})`,
        width: 12,
      },
      {
        title: 'Holdover left',
        kind: 'lines',
        expr: `min by (region, site, node) (ptp_watch_holdover_remaining_seconds{${CHOSEN},${NODE}})`,
        legend: '{{node}}',
        unit: 's',
        width: 12,
      },
      {
        title: 'State changes in 10 min',
        kind: 'lines',
        expr: `${byNode(`increase(ptp_watch_transitions_total{${CHOSEN},${NODE}}[10m])`)} > 0`,
        legend: '{{node}}',
        width: 8,
      },
      {
        title: 'Clock class',
        kind: 'lines',
        expr: `max by (region, site, node, clock) (ptp_watch_clock_class{${CHOSEN},${NODE}})`,
        legend: '{{node}} {{clock}}',
        width: 8,
      },
      {
        title: 'GNSS synchronized',
        kind: 'lines',
        expr: `max by (region, site, node, clock) (ptp_watch_gnss_state{${CHOSEN},${NODE},state="SYNCHRONIZED"})`,
        legend: '{{node}} {{clock}}',
        width: 8,
      },
    ],
  },
]

const VARIABLES = [
  { name: 'region', query: 'label_values(ptp_watch_node_state, region)' },
  { name: 'site', query: 'label_values(ptp_watch_node_state{region=~"$region"}, site)' },
  { name: 'node', query: `label_values(ptp_watch_node_state{${CHOSEN}}, node)` },
]

const COMMON = {
  title: 'PTP Watch',
  tags: ['ptp'],
  timezone: 'utc',
  refresh: '10s',
  time: { from: 'now-1h', to: 'now' },
}

const variables = (datasource: object | string, adapted = (query: string) => query) => ({
  // Nodes without region or site have an empty one, which `.+` would leave out.
  list: VARIABLES.map(({ name, query }) => ({
    name,
    label: name,
    type: 'query',
    query: adapted(query),
    datasource,
    includeAll: true,
    allValue: '.*',
    multi: true,
    refresh: 2,
    sort: 1,
    current: { text: 'All', value: '$__all' },
  })),
})

const HEIGHTS = { number: 4, lines: 8, table: 8 }

/** For Grafana 9 and later. */
export function grafanaDashboard(): object {
  const source = { type: 'prometheus', uid: '$datasource' }
  const types = { number: 'stat', lines: 'timeseries', table: 'table' }
  const panels: object[] = []
  let [x, y] = [0, 0]
  for (const row of ROWS) {
    panels.push({ type: 'row', title: row.title, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] })
    ;[x, y] = [0, y + 1]
    for (const { title, kind, expr, legend, unit = 'short', width } of row.panels) {
      const h = HEIGHTS[kind]
      panels.push({
        type: types[kind],
        title,
        datasource: source,
        gridPos: { x, y, w: width, h },
        fieldConfig: { defaults: { unit }, overrides: [] },
        targets: [
          {
            refId: 'A',
            datasource: source,
            expr,
            ...(legend && { legendFormat: legend }),
            ...(kind === 'lines' ? { range: true } : { instant: true }),
            ...(kind === 'table' && { format: 'table' }),
          },
        ],
      })
      x += width
      if (x >= 24) [x, y] = [0, y + h]
    }
  }
  const chosen = { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' }
  return {
    ...COMMON,
    uid: 'ptp-watch',
    schemaVersion: 39,
    templating: { list: [chosen, ...variables(source).list] },
    panels: panels.map((panel, i) => ({ id: i + 1, ...panel })),
  }
}

/** The console makes `.+` of "All", which would leave out nodes that have no region or site. */
const orNone = (query: string) => query.replace(/=~"(\$region|\$site)"/g, '=~"$1|"')

/** For the web console of OpenShift. */
export function consoleDashboard(): object {
  const types = { number: 'singlestat', lines: 'graph', table: 'table' }
  let id = 0
  return {
    ...COMMON,
    schemaVersion: 14,
    templating: variables('prometheus', orNone),
    rows: ROWS.map(({ title: row, panels }) => ({
      title: row,
      showTitle: true,
      panels: panels.map(({ title, kind, expr, legend = '', unit = 'short', width }) => {
        id += 1
        return {
          id,
          type: types[kind],
          title,
          span: width / 2,
          datasource: 'prometheus',
          format: unit,
          targets: [
            {
              refId: 'A',
              expr: orNone(expr),
              legendFormat: legend,
              ...(kind === 'table' && { format: 'table', instant: true }),
            },
          ],
          ...(kind === 'lines' && { yaxes: [{ format: unit }, { format: 'short' }] }),
        }
      }),
    })),
  }
}

export const DASHBOARDS = {
  'components/monitoring/ptp-watch-grafana.json': grafanaDashboard,
  'openshift-dashboard/ptp-watch.json': consoleDashboard,
}

/** Writes them beside the manifests that take them. */
export function writeDashboards(): void {
  for (const [path, dashboard] of Object.entries(DASHBOARDS)) {
    const file = new URL(path, import.meta.url)
    mkdirSync(new URL('.', file), { recursive: true })
    writeFileSync(file, `${JSON.stringify(dashboard(), null, 2)}\n`)
  }
}

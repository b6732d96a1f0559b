import * as z from 'zod/mini'
import { availability, failure, fleet, log, node, nodes, summary, timeline } from './schemas.ts'
import { FILTERING, FOLLOWING, SELECTING } from './query.ts'

const SCHEMAS = {
  Node: node,
  Nodes: nodes,
  Fleet: fleet,
  Summary: summary,
  Log: log,
  Availability: availability,
  Timeline: timeline,
  Error: failure,
}

const words = (...words: string[]) => ({ enum: words })
const TIME = { format: 'date-time' }

/** Each parameter with its description and the values it accepts. */
const QUERY: Readonly<Record<string, readonly [description: string, schema?: object]>> = {
  limit: ['Nodes on a page: 1 to 500, 100 unless given. Of a log, entries: 1 to 1000, all unless given.'],
  continue: ['Where the page begins: `continue` of the page before, with the same filters and order.'],
  overall: ['States to show, separated by commas: FREERUN, HOLDOVER, UNKNOWN, LOCKED.'],
  stale: ['true: only nodes that are stale; false: only those that are not.', words('true', 'false')],
  label: ['<key>:<value>, for example site:a. May be repeated; all must match.'],
  name: ["A part of the node's name."],
  sort: [
    'severity: worst first; since: latest change first. By name unless given.',
    words('severity', 'name', 'since'),
  ],
  node: ['This node in full instead of the fleet; without filters.'],
  from: ['RFC 3339; by default 24 h before `to`.', TIME],
  to: ['RFC 3339; by default now.', TIME],
  format: ['csv: a line for each entry (RFC 4180).', words('json', 'csv')],
  order: ['newest: newest first; needs `limit`.', words('oldest', 'newest')],
}
const NODE = {
  name: 'node',
  in: 'path',
  required: true,
  schema: { type: 'string' },
  description: 'The full name of the node.',
}

/** A path, what it answers, its parameters, the schema, and the media type if it has another format. */
type Path = readonly [string, string, readonly string[], keyof typeof SCHEMAS, string?]

const PATHS: readonly Path[] = [
  [
    'nodes',
    'Nodes with all that is known of them, a page at a time',
    [...SELECTING, 'limit', 'continue'],
    'Nodes',
  ],
  ['nodes/{node}', 'One node with the newest entries of its log', [], 'Node'],
  [
    'nodes/{node}/log',
    'The log of a node by time',
    ['from', 'to', 'format', 'order', 'limit'],
    'Log',
    'text/csv',
  ],
  [
    'nodes/{node}/availability',
    'Time in each state, and how much of the span is known',
    ['from', 'to'],
    'Availability',
  ],
  ['nodes/{node}/timeline', 'The same, with the history of each clock', ['from', 'to'], 'Timeline'],
  ['summary', 'The fleet in numbers', FILTERING, 'Summary'],
  ['fleet', 'The fleet in brief: a row for each node, as the stream sends it', FOLLOWING, 'Fleet'],
  [
    'stream',
    'Server-Sent Events: `snapshot` first, then `change` with rows and the names of removed nodes, `time` every 5 s. With `node` events of type `node`. `Last-Event-ID` continues where it stopped.',
    FOLLOWING,
    'Fleet',
    'text/event-stream',
  ],
]

/** The parameters of a path of the API. */
export function parametersOf(path: string): readonly string[] {
  return PATHS.find(([each]) => each === path)?.[2] ?? []
}

const answer = (description: string, schema: keyof typeof SCHEMAS, also?: string) => ({
  description,
  content: {
    'application/json': { schema: { $ref: `#/components/schemas/${schema}` } },
    ...(also !== undefined && { [also]: { schema: { type: 'string' } } }),
  },
})

/** The OpenAPI 3.1 description of the API: its schemas are those that the replies are tested against. */
export function openApi(): object {
  const paths = PATHS.map(([path, summary, names, schema, also]) => {
    const query = names.map((name) => {
      const [description, values] = QUERY[name] ?? []
      return { name, in: 'query', description, schema: { type: 'string', ...values } }
    })
    const parameters = path.includes('{node}') ? [NODE, ...query] : query
    const responses = {
      200: answer('OK', schema, also),
      400: answer('An unknown parameter, or a value that it does not take', 'Error'),
      404: answer('Not known', 'Error'),
      503: answer('The store is out of reach', 'Error'),
    }
    return [`/api/${path}`, { get: { summary, parameters, responses } }]
  })
  const schemas = Object.entries(SCHEMAS).map(([name, schema]) => [
    name,
    z.toJSONSchema(schema, { unrepresentable: 'any' }),
  ])
  return {
    openapi: '3.1.0',
    info: {
      title: 'PTP Watch status API',
      version: '1',
      description: 'The state of the clocks of every node, as the store has it. All of it is read-only.',
    },
    paths: Object.fromEntries(paths),
    components: { schemas: Object.fromEntries(schemas) },
  }
}

import * as z from 'zod/mini'
import { availability, failure, fleet, log, node, nodes, summary, timeline } from './api.ts'

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
type SchemaName = keyof typeof SCHEMAS

const FILTERS = [
  query('overall', 'States to show, separated by commas: FREERUN, HOLDOVER, UNKNOWN, LOCKED.'),
  query('stale', 'true: only nodes that are stale; false: only those that are not.', {
    enum: ['true', 'false'],
  }),
  query('label', '<key>:<value>, for example site:a. May be repeated; all must match.'),
  query('name', "A part of the node's name."),
]
const ONE = query('node', 'This node in full instead of the fleet; without filters.')
const SPAN = [
  query('from', 'RFC 3339; by default 24 h before `to`.', { format: 'date-time' }),
  query('to', 'RFC 3339; by default now.', { format: 'date-time' }),
]
const NODE = {
  name: 'node',
  in: 'path',
  required: true,
  schema: { type: 'string' },
  description: 'The full name of the node.',
}

function query(name: string, description: string, schema: object = {}) {
  return { name, in: 'query', description, schema: { type: 'string', ...schema } }
}

function get(summary: string, parameters: readonly object[], schema: SchemaName, more: object = {}) {
  const json = (name: SchemaName) => ({
    'application/json': { schema: { $ref: `#/components/schemas/${name}` } },
  })
  return {
    get: {
      summary,
      parameters,
      responses: {
        200: { description: 'OK', content: { ...json(schema), ...more } },
        400: {
          description: 'An unknown parameter, or a value that it does not take',
          content: json('Error'),
        },
        404: { description: 'Not known', content: json('Error') },
        503: { description: 'The store is out of reach', content: json('Error') },
      },
    },
  }
}

/** The description of the API, in OpenAPI 3.1: the schemas are those that its replies are tested against. */
export function openApi(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'PTP Watch status API',
      version: '1',
      description: 'The state of the clocks of every node, as the store has it. All of it is read-only.',
    },
    paths: {
      '/api/nodes': get(
        'Nodes with all that is known of them, a page at a time',
        [
          query('limit', 'Nodes on a page, 1 to 500; 100 unless given.'),
          query(
            'continue',
            'Where the page begins: `continue` of the page before, with the same filters and order.',
          ),
          ...FILTERS,
          query('sort', 'severity: worst first; since: latest change first. By name unless given.', {
            enum: ['severity', 'name', 'since'],
          }),
        ],
        'Nodes',
      ),
      '/api/nodes/{node}': get('One node with the newest entries of its log', [NODE], 'Node'),
      '/api/nodes/{node}/log': get(
        'The log of a node by time',
        [
          NODE,
          ...SPAN,
          query('format', 'csv: a line for each entry (RFC 4180).', { enum: ['json', 'csv'] }),
          query('order', 'newest: newest first; needs `limit`.', { enum: ['oldest', 'newest'] }),
          query('limit', 'Entries at most, 1 to 1000; all unless given.'),
        ],
        'Log',
        { 'text/csv': { schema: { type: 'string' } } },
      ),
      '/api/nodes/{node}/availability': get(
        'Time in each state, and how much of the span is known',
        [NODE, ...SPAN],
        'Availability',
      ),
      '/api/nodes/{node}/timeline': get(
        'The same, with the history of each clock',
        [NODE, ...SPAN],
        'Timeline',
      ),
      '/api/summary': get('The fleet in numbers', FILTERS, 'Summary'),
      '/api/fleet': get(
        'The fleet in brief: a row for each node, as the stream sends it',
        [...FILTERS, ONE],
        'Fleet',
      ),
      '/api/stream': get(
        'Server-Sent Events: `snapshot` first, then `change` with rows and the names of removed nodes, `time` every 5 s. With `node` events of type `node`. `Last-Event-ID` continues where it stopped.',
        [...FILTERS, ONE],
        'Fleet',
        { 'text/event-stream': { schema: { type: 'string' } } },
      ),
    },
    components: {
      schemas: Object.fromEntries(
        Object.entries(SCHEMAS).map(([name, schema]) => [
          name,
          z.toJSONSchema(schema, { unrepresentable: 'any' }),
        ]),
      ),
    },
  }
}

import type { FunctionDefinition } from '#shared/runtime/function.ts'

/** How the fleet is selected and printed, by `ptp-watch status` and `kubectl ptp status`. */
export const STATUS_FLAGS: FunctionDefinition['flags'] = {
  overall: { type: 'string', value: 'states', description: 'Only FREERUN,HOLDOVER,UNKNOWN,LOCKED nodes.' },
  label: { type: 'string', value: 'key=value,…', description: 'Only nodes with all of these labels.' },
  name: { type: 'string', value: 'part', description: 'Only nodes with this in their name.' },
  sort: { type: 'string', value: 'order', description: 'severity (the default), name, or since (newest).' },
  wide: { type: 'boolean', description: 'All columns at full width, as when piped.' },
  output: {
    type: 'string',
    short: 'o',
    value: 'format',
    description: 'table (default), json, csv or name.',
  },
  json: { type: 'boolean', description: 'The same as --output json.' },
  'exit-code': { type: 'boolean', description: 'Exits with 3 unless every selected node is LOCKED.' },
}

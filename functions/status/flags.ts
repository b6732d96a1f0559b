import type { FunctionDefinition } from '#shared/runtime/function.ts'

/** How the fleet is selected and printed, by `ptp-watch status` and `kubectl ptp status`. */
export const STATUS_FLAGS: FunctionDefinition['flags'] = {
  overall: { value: 'states', description: 'Only FREERUN,HOLDOVER,UNKNOWN,LOCKED nodes.' },
  label: { value: 'key=value,…', description: 'Only nodes with all of these labels.' },
  name: { value: 'part', description: 'Only nodes with this in their name.' },
  sort: { value: 'order', description: 'severity (the default), name, or since (newest).' },
  wide: { description: 'All columns at full width, as when piped.' },
  output: {
    short: 'o',
    value: 'format',
    description: 'table (default), json, csv or name.',
  },
  json: { description: 'The same as --output json.' },
  'exit-code': { description: 'Exits with 3 unless every selected node is LOCKED.' },
}

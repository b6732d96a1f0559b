import type { Catalogue } from '#shared/runtime/cli.ts'

/** All functions, by the name that picks them. Each is loaded only when it is picked. */
export const catalogue: Catalogue = {
  ingest: async () => (await import('./ingest/index.ts')).ingest,
  subscribe: async () => (await import('./subscribe/index.ts')).subscribe,
  poll: async () => (await import('./poll/index.ts')).poll,
  status: async () => (await import('./status/index.ts')).status,
  condition: async () => (await import('./condition/index.ts')).condition,
  history: async () => (await import('./history/index.ts')).history,
  forget: async () => (await import('./forget/index.ts')).forget,
  doctor: async () => (await import('./doctor/index.ts')).doctor,
}

/** Those that take CloudEvents and are registered as such with the Functions Framework. */
export const eventFunctions: ReadonlySet<string> = new Set(['condition'])

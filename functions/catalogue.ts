import type { Catalogue } from '#shared/runtime/command.ts'

/** All functions, by the name that picks them. */
export const catalogue: Catalogue = {
  subscribe: async () => (await import('./subscribe/index.ts')).subscribe,
  status: async () => (await import('./status/index.ts')).status,
}

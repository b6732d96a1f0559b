import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** The faults that last: `npm run test:faults`. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/faults/*.long.ts'],
    globalSetup: './test/support/build.ts',
    testTimeout: 180_000,
    hookTimeout: 30_000,
    // Most of their time is spent waiting for a fault to end.
    maxWorkers: 6,
    reporters: ['default', './test/support/totals.ts'],
  },
})

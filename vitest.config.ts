import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Suites start real servers and processes; two workers suit the two cores that CI has.
    maxWorkers: 2,
    reporters: ['default', './test/support/totals.ts'],
  },
})

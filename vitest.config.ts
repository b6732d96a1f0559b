import { defineConfig } from 'vitest/config'
import WaitingBetween from './test/support/waiting-between.ts'

const PROCESSES = 'test/**/*.process.test.ts'
/** The faults that last 20 s and more: `npm run test:faults`, and `.ci/run` beside all others. */
const FAULTS = process.env.FAULTS ? ['test/faults/*.long.ts'] : []

/**
 * Two suites: `unit` is pure or runs in the process of the test; `processes` starts others (our functions, Redis,
 * kubectl), and is what is named `*.process.test.ts`.
 */
export default defineConfig({
  test: {
    // Conditions are awaited; limits are for a machine that has much else to do.
    expect: { poll: { timeout: 30_000, interval: 20 } },
    reporters: ['default', './test/support/totals.ts'],
    globalSetup: './test/support/build.ts',
    // Files share the modules that their worker has loaded: loading them again took as long as the tests.
    isolate: false,
    sequence: { sequencer: WaitingBetween },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
          include: ['test/**/*.test.ts'],
          exclude: [PROCESSES],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: [PROCESSES, ...FAULTS],
          // They wait for each other much of the time, so that more workers find room on two cores.
          maxWorkers: FAULTS.length > 0 ? 4 : 3,
          sequence: { groupOrder: 1 },
          testTimeout: 600_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})

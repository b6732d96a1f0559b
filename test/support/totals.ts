import type { Reporter, TestModule } from 'vitest/node'

/** Closes a run with its totals on a line of their own: `N passed, N failed`. */
export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 }
    for (const module of modules) {
      // A file that does not load has no tests to fail.
      if (module.errors().length > 0) count.failed += 1
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state !== 'pending') count[state] += 1
      }
    }
    const also = count.skipped === 0 ? '' : `, ${count.skipped} skipped`
    process.stdout.write(`${count.passed} passed, ${count.failed} failed${also}\n`)
  }
}

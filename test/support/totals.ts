import { appendFileSync, readFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

type Count = Record<'passed' | 'failed' | 'skipped', number>

/**
 * Closes a run with its totals on a line of their own: `N passed, N failed`. Where TOTALS_FILE names a file, they are
 * those of all runs that have named it.
 */
export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = countOf(modules)
    const { TOTALS_FILE: file } = process.env
    if (file) appendFileSync(file, `${count.passed} ${count.failed} ${count.skipped}\n`)
    const { passed, failed, skipped } = file ? sumOf(readFileSync(file, 'utf8')) : count
    const also = skipped === 0 ? '' : `, ${skipped} skipped`
    process.stdout.write(`${passed} passed, ${failed} failed${also}\n`)
  }
}

function countOf(modules: readonly TestModule[]): Count {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const module of modules) {
    // A file that does not load has no tests to fail.
    if (module.errors().length > 0) count.failed += 1
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state !== 'pending') count[state] += 1
    }
  }
  return count
}

function sumOf(lines: string): Count {
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const line of lines.trim().split('\n')) {
    const [passed = 0, failed = 0, skipped = 0] = line.split(' ').map(Number)
    sum.passed += passed
    sum.failed += failed
    sum.skipped += skipped
  }
  return sum
}

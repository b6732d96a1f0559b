import pLimit from 'p-limit'
import type { Target } from '#shared/publishers/target.ts'
import { type ExamineDeps, examine } from './examine.ts'
import type { Finding } from './report.ts'

/** How long one publisher may take, in ms: it is asked some twenty questions, each with a deadline of its own. */
const DEADLINE_MS = 60_000

/**
 * Examines publishers, so many asked at once, each by its own deadline. `onDone` is told of each when it is done. Gives
 * their findings in the order of `targets`; of those that `signal` cut off none, for what was not answered then was
 * not asked long enough.
 */
export async function examineAll(
  deps: ExamineDeps,
  targets: readonly Target[],
  options: { concurrency: number; signal: AbortSignal; onDone: (findings: readonly Finding[]) => void },
): Promise<Finding[][]> {
  const { concurrency, signal, onDone } = options
  const asking = pLimit(concurrency)
  const reading = pLimit(concurrency)
  const store = { ...deps.store, read: (node: string) => reading(() => deps.store.read(node)) }
  return Promise.all(
    targets.map(async (target) => {
      const finish = await asking(async () => {
        if (signal.aborted) return async () => []
        const deadline = deadlineOf(signal)
        try {
          const finish = await examine({ ...deps, store }, target, { signal: deadline.signal })
          return () => finish().finally(deadline.clear)
        } catch (error) {
          deadline.clear()
          throw error
        }
      })
      const findings = await finish()
      if (signal.aborted) return []
      onDone(findings)
      return findings
    }),
  )
}

/** Aborted by `signal`, or when the time of one publisher is over. */
function deadlineOf(signal: AbortSignal): { signal: AbortSignal; clear: () => void } {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(new Error(`not done in ${DEADLINE_MS / 1_000} s`)), DEADLINE_MS)
  return { signal: AbortSignal.any([signal, over.signal]), clear: () => clearTimeout(timer) }
}

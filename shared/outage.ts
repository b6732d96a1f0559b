import type { Log, LogFields } from './log.ts'

/**
 * Logs an outage that affects many nodes: one line when the first fails and one when none fails any more, however
 * many there are and however often they are retried.
 */
type Outage = {
  failed(node: string, fields: LogFields): void
  worked(node: string): void
}

export function createOutage(log: Log, messages: { failed: string; recovered: string }): Outage {
  const failing = new Set<string>()
  let met = 0
  return {
    failed(node, fields) {
      if (failing.size === 0) {
        met = 0
        log.warn(messages.failed, { node, ...fields })
      }
      if (failing.has(node)) return
      failing.add(node)
      met += 1
    },
    worked(node) {
      if (failing.delete(node) && failing.size === 0) log.info(messages.recovered, { nodes: met })
    },
  }
}

/** Logs a problem when it changes and when it is over, not each time it occurs. */
export function createProblemLog(log: Log, messages: { failed: string; recovered: string }) {
  const problems = new Map<string, string>()
  return (of: string, problem: string | undefined, fields: LogFields = {}): void => {
    if (problem === problems.get(of)) return
    if (problem === undefined) {
      problems.delete(of)
      log.info(messages.recovered, fields)
    } else {
      problems.set(of, problem)
      log.warn(messages.failed, { ...fields, problem })
    }
  }
}

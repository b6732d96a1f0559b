import type { Log, LogFields } from './log.ts'

/**
 * Logs that something fails for nodes: one line when the first of them fails and one when none fails any more, however
 * many there are and however often they are tried.
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

/** Logs a problem of something when it changes, and once it is over: not each time that it is met. */
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

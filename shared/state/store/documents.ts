import * as z from 'zod/mini'
import { reasonOf, StoreError } from '#shared/errors.ts'
import { type LogEntry, logEntry, type NodeState, nodeState } from '#shared/state/document.ts'

const logEntries = z.array(logEntry)

/**
 * The document that a driver kept as JSON.
 * @throws StoreError, not retryable, if the text is no such document.
 */
export function parseDocument(node: string, text: string): NodeState {
  return parse(nodeState, text, () => `The stored document of node ${node}`)
}

/**
 * A log entry that a driver kept as JSON.
 * @throws StoreError, not retryable, if the text is no such entry.
 */
export function parseEntry(node: string, text: string): LogEntry {
  return parse(logEntry, text, () => `A stored log entry of node ${node}`)
}

/**
 * The log entries of a JSON list that a driver kept.
 * @throws StoreError, not retryable, if the text is no list of such entries.
 */
export function parseEntries(node: string, text: string): LogEntry[] {
  return parse(logEntries, text, () => `What is stored of the log of node ${node}`)
}

function parse<T>(schema: z.ZodMiniType<T>, text: string, what: () => string): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new StoreError(`${what()} is no JSON: ${reasonOf(error)}`, { retryable: false, cause: error })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = z.prettifyError(parsed.error)
  throw new StoreError(`${what()} cannot be used:\n${problems}`, { retryable: false })
}

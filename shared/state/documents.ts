import * as z from 'zod/mini'
import { reasonOf, StoreError } from '#shared/errors.ts'
import { createFits } from '#shared/fits.ts'
import { type ClockState, type LogEntry, logEntry, type NodeState, nodeState } from './node-state.ts'

/** Clocks are replaced and never modified, so that the text of one holds as long as the clock does. */
const texts = new WeakMap<ClockState, string>()

/**
 * The JSON text by which drivers keep a document. An event changes one clock of several: the texts of the others are
 * remembered, without which this was a fifth of all that an event takes (docs/performance.md).
 */
export function documentText({ clocks, ...rest }: NodeState): string {
  return `${JSON.stringify(rest).slice(0, -1)},"clocks":[${clocks.map(clockText).join(',')}]}`
}

function clockText(clock: ClockState): string {
  const known = texts.get(clock)
  if (known !== undefined) return known
  const text = JSON.stringify(clock)
  texts.set(clock, text)
  return text
}

const fitsDocument = createFits(nodeState)
const fitsEntry = createFits(logEntry)
const logEntries = z.array(logEntry)
const fitsEntries = createFits(logEntries)

/**
 * The document that a driver kept as JSON.
 * @throws StoreError, not retryable, if the text is no such document.
 */
export function parseDocument(node: string, text: string): NodeState {
  return parse(nodeState, fitsDocument, text, () => `The stored document of node ${node}`)
}

/**
 * A log entry that a driver kept as JSON.
 * @throws StoreError, not retryable, if the text is no such entry.
 */
export function parseEntry(node: string, text: string): LogEntry {
  return parse(logEntry, fitsEntry, text, () => `A stored log entry of node ${node}`)
}

/**
 * The log entries of a JSON list that a driver kept.
 * @throws StoreError, not retryable, if the text is no list of such entries.
 */
export function parseEntries(node: string, text: string): LogEntry[] {
  return parse(logEntries, fitsEntries, text, () => `What is stored of the log of node ${node}`)
}

function parse<T>(
  schema: z.ZodMiniType<T>,
  fits: (value: unknown) => value is T,
  text: string,
  what: () => string,
): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new StoreError(`${what()} is no JSON: ${reasonOf(error)}`, { retryable: false, cause: error })
  }
  if (fits(value)) return value
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = z.prettifyError(parsed.error)
  throw new StoreError(`${what()} cannot be used:\n${problems}`, { retryable: false })
}

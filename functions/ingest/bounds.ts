import { isObject, readableData } from '#shared/events/wire.ts'

/**
 * The largest of 1,702 recorded notifications is one event of 790 bytes with 4 values; a document holds 64 clocks, each of
 * which may have its word, its number and as much again.
 */
export const MOST_EVENTS = 64
export const MOST_VALUES = 256

/** Arrays and maps of events nest no deeper in any known shape (wire.ts). */
const MAX_DEPTH = 3

/** Whether a body has more events or values than any publisher has reason to send. It looks at no more than those. */
export function isOverfull(body: unknown): boolean {
  let events = 0
  let values = 0

  const look = (part: unknown, depth: number): boolean => {
    const data = isObject(part) ? readableData(part) : undefined
    if (isObject(data) && Array.isArray(data.values)) {
      events += 1
      values += data.values.length
    } else if (depth >= MAX_DEPTH || typeof part !== 'object' || part === null) {
      events += 1
    } else {
      const parts = Array.isArray(part) ? part : Object.values(part).filter(isContainer)
      if (parts.length > MOST_EVENTS) return true
      for (const each of parts) if (look(each, depth + 1)) return true
    }
    return events > MOST_EVENTS || values > MOST_VALUES
  }
  return look(body, 0)
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

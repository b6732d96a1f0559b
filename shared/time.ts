/**
 * Publishers stamp nanoseconds. Everywhere in this project such a time stays the string that was received; it is
 * ordered by the `bigint` of {@link nanoseconds}. `Date` is for display and for our own clock only.
 */

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** `2024-11-15T15:22:33868726Z`: StarlingX leaves out the dot before its six digits of fraction (starlingx.md). */
const STARLINGX = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\d{6})Z$/

/** Times are stored as received: a fraction of a thousand digits is no time. */
const LONGEST = 64

/** Our own clock. Tests move it; nothing else in the project asks for the time. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** The RFC 3339 form of what a publisher sent, with StarlingX's missing dot put in; undefined if it is no time. */
export function repairTime(text: string): string | undefined {
  if (parse(text) !== undefined) return text
  const broken = STARLINGX.exec(text)
  if (broken === null) return undefined
  const repaired = `${broken[1]}.${broken[2]}Z`
  return parse(repaired) === undefined ? undefined : repaired
}

/**
 * Nanoseconds since the epoch of an RFC 3339 time (digits past the ninth are cut).
 * @throws RangeError if the text is no RFC 3339 time.
 */
export function nanoseconds(text: string): bigint {
  const value = parse(text)
  if (value === undefined) throw new RangeError(`${JSON.stringify(text)} is no RFC 3339 time`)
  return value
}

/** Negative, zero or positive as `a` is earlier than, equal to or later than `b`. Both are RFC 3339. */
export function compareTimes(a: string, b: string): number {
  if (a === b) return 0
  const difference = nanoseconds(a) - nanoseconds(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The later of two RFC 3339 times, the other where one is absent. */
export function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined) return b
  if (b === undefined) return a
  return compareTimes(a, b) >= 0 ? a : b
}

/** RFC 3339 with milliseconds for a time of our own clock. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** Milliseconds since the epoch of a time written by {@link isoTime}. */
export function milliseconds(text: string): number {
  return Number(nanoseconds(text) / 1_000_000n)
}

function parse(text: string): bigint | undefined {
  const match = text.length > LONGEST ? null : RFC3339.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  const ms = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  )
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  // Date.UTC wraps the 31st of February into March, and reads the years 0 to 99 as 1900 to 1999.
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== Number(month) - 1) return undefined
  if (Number(year) < 1970) return undefined
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9)) - offset(zone)
}

function offset(zone: string): bigint {
  if (zone === 'Z' || zone === 'z') return 0n
  const sign = zone.startsWith('-') ? -1n : 1n
  const minutes = BigInt(zone.slice(1, 3)) * 60n + BigInt(zone.slice(4, 6))
  return sign * minutes * 60_000_000_000n
}

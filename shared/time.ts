/**
 * Publishers stamp nanoseconds. Such a time is kept as the string that was received, and ordered by the `bigint` of
 * {@link nanoseconds}. `Date` is only for display and for our own clock.
 */

/** Our own clock, which tests control; nothing else in the project asks for the time. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** RFC 3339 from 1970 on, with leap seconds. Days are checked against the calendar. */
const RFC3339 =
  /^((?:19[7-9]|[2-9]\d\d)\d)-(0[1-9]|1[0-2])-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/

/** Times are stored as received, so their length is limited. */
const LONGEST = 64

function parse(text: string): bigint | undefined {
  const found = text.length > LONGEST ? null : RFC3339.exec(text)
  if (found === null) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour = 0, offsetMinute = 0] =
    found
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  if (date.getUTCDate() !== Number(day)) return undefined
  const offset = (sign === '-' ? -60 : 60) * (Number(offsetHour) * 60 + Number(offsetMinute))
  const seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second) - offset
  return (
    BigInt(date.getTime() / 1000 + seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  )
}

/** `2024-11-15T15:22:33868726Z`: StarlingX leaves out the dot before its six digits of fraction (starlingx.md). */
const STARLINGX = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\d{6}Z)$/

/** A publisher's time as RFC 3339, with StarlingX's missing dot put in; undefined if it is not a time. */
export function repairTime(text: string): string | undefined {
  if (parse(text) !== undefined) return text
  const repaired = text.replace(STARLINGX, '$1.$2')
  return parse(repaired) === undefined ? undefined : repaired
}

/**
 * Nanoseconds since the epoch of an RFC 3339 time (digits past the ninth are cut).
 * @throws RangeError if the text is not an RFC 3339 time.
 */
export function nanoseconds(text: string): bigint {
  const found = parse(text)
  if (found === undefined) throw new RangeError(`${JSON.stringify(text)} is not an RFC 3339 time`)
  return found
}

/** Negative, zero or positive if `a` is earlier than, equal to or later than `b`. Both are RFC 3339. */
export function compareTimes(a: string, b: string): number {
  if (a === b) return 0
  if (isPlain(a) && isPlain(b) && a.length === b.length) return a < b ? -1 : 1
  const difference = nanoseconds(a) - nanoseconds(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/**
 * In UTC, without digits past the ninth and without a leap second: such times of equal length sort as text. Nearly
 * all compared times are like this.
 */
function isPlain(text: string): boolean {
  return text.length <= 30 && text.endsWith('Z') && text[10] === 'T' && text[17] !== '6'
}

/** RFC 3339 with milliseconds, for a time of our own clock. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** Milliseconds since the epoch of a time of our own clock, as {@link isoTime} writes it. */
export function milliseconds(text: string): number {
  return Date.parse(text)
}

/**
 * Milliseconds since the epoch of a publisher's time; NaN if it is not a time. `Date` rejects leap seconds, which
 * publishers may send.
 */
export function publishedAt(text: string): number {
  const time = Date.parse(text)
  if (!Number.isNaN(time)) return time
  const exact = parse(text)
  return exact === undefined ? Number.NaN : Number(exact / 1_000_000n)
}

/** Go's zero time in any precision and zone: `0001-01-01T00:00:00Z`. */
const ZERO_TIME = /^0001-01-01[Tt ]00:00:00(?:\.0+)?(?:[Zz]| ?[+-]00:?00(?: UTC)?)?$/

/** Whether an event has no time: missing, null, empty, or Go's zero time. */
export function isNoTime(time: unknown): boolean {
  if (time === undefined || time === null) return true
  return typeof time === 'string' && (time.trim() === '' || ZERO_TIME.test(time))
}

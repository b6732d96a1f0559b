/**
 * Publishers stamp nanoseconds. Everywhere in this project such a time stays the string that was received; it is
 * ordered by the `bigint` of {@link nanoseconds}. `Date` is for display and for our own clock only.
 */

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
  const { seconds, nanos } = moment(text)
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanos)
}

/** Negative, zero or positive as `a` is earlier than, equal to or later than `b`. Both are RFC 3339. */
export function compareTimes(a: string, b: string): number {
  if (a === b) return 0
  if (areSpelledAlike(a, b)) return a < b ? -1 : 1
  const [first, second] = [moment(a), moment(b)]
  return first.seconds - second.seconds || first.nanos - second.nanos
}

/** `Z` after nine digits of a fraction: what is longer may have digits that do not count. */
const NANOSECONDS_LENGTH = 30

/**
 * Whether two times are in order as their texts are: in UTC, with as many digits and the same letters, none past the
 * ninth, and neither in a leap second, which is the same moment as the second after it. So are nearly all times that
 * are compared.
 */
function areSpelledAlike(a: string, b: string): boolean {
  return (
    a.length === b.length &&
    a.length <= NANOSECONDS_LENGTH &&
    a.endsWith('Z') &&
    b.endsWith('Z') &&
    a[10] === b[10] &&
    a[17] !== '6' &&
    b[17] !== '6'
  )
}

/** RFC 3339 with milliseconds for a time of our own clock. */
export function isoTime(ms: number): string {
  if (ms === written.ms) return written.text
  const before = written
  written = ms === writtenBefore.ms ? writtenBefore : { ms, text: new Date(ms).toISOString() }
  writtenBefore = before
  return written.text
}

/** The two times that were written last: most are asked for several times in a row, or in turn with another. */
let written = { ms: 0, text: new Date(0).toISOString() }
let writtenBefore = written

/** Milliseconds since the epoch of a time written by {@link isoTime}. */
export function milliseconds(text: string): number {
  const { seconds, nanos } = moment(text)
  return seconds * 1000 + Math.floor(nanos / 1_000_000)
}

/** Whole seconds since the epoch, and the nanoseconds after them. */
type Moment = { readonly seconds: number; readonly nanos: number }

function moment(text: string): Moment {
  const found = parse(text)
  if (found === undefined) throw new RangeError(`${JSON.stringify(text)} is no RFC 3339 time`)
  return found
}

/** Where the fraction or the zone begins: after `2026-11-23T03:48:28`. */
const SECONDS_END = 19

/**
 * Reads RFC 3339 character by character: every event has its times compared a dozen times, and a pattern with its
 * groups, their numbers and a `bigint` took a fifth of the time that an event takes (docs/contributing/performance.md).
 */
function parse(text: string): Moment | undefined {
  if (text.length <= SECONDS_END || text.length > LONGEST) return undefined
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 2)
  const day = digits(text, 8, 2)
  const hour = digits(text, 11, 2)
  const minute = digits(text, 14, 2)
  const second = digits(text, 17, 2)
  if (text[4] !== '-' || text[7] !== '-' || text[13] !== ':' || text[16] !== ':') return undefined
  if (text[10] !== 'T' && text[10] !== 't') return undefined
  // What is no number makes each of these false.
  if (!(year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month))) return undefined
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return undefined
  let end = SECONDS_END
  let nanos = 0
  if (text[end] === '.') {
    let weight = 100_000_000
    const begin = ++end
    for (; isDigit(text.charCodeAt(end)); end += 1) {
      nanos += (text.charCodeAt(end) - ZERO) * Math.floor(weight)
      weight /= 10
    }
    if (end === begin) return undefined
  }
  const offset = offsetSeconds(text, end)
  if (offset === undefined) return undefined
  return { seconds: Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - offset, nanos }
}

const ZERO = 48

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9
}

/** The number that so many digits from `start` on write; NaN if they are not all digits. */
function digits(text: string, start: number, count: number): number {
  let value = 0
  for (let index = start; index < start + count; index += 1) {
    const code = text.charCodeAt(index)
    if (!isDigit(code)) return Number.NaN
    value = value * 10 + code - ZERO
  }
  return value
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** `Z` or `+01:00`, with which the text has to end. */
function offsetSeconds(text: string, start: number): number | undefined {
  const sign = text[start]
  if (sign === 'Z' || sign === 'z') return text.length === start + 1 ? 0 : undefined
  if ((sign !== '+' && sign !== '-') || text[start + 3] !== ':' || text.length !== start + 6) return undefined
  const hours = digits(text, start + 1, 2)
  const minutes = digits(text, start + 4, 2)
  if (!(hours <= 23 && minutes <= 59)) return undefined
  return (sign === '-' ? -1 : 1) * (hours * 3600 + minutes * 60)
}

/** Go's zero time in any precision and zone: `0001-01-01T00:00:00Z`. */
const ZERO_TIME = /^0001-01-01[Tt ]00:00:00(?:\.0+)?(?:[Zz]| ?[+-]00:?00(?: UTC)?)?$/

/** Whether an event says that it has no time: none, null, empty, or Go's zero time. */
export function isNoTime(time: unknown): boolean {
  if (time === undefined || time === null) return true
  return typeof time === 'string' && (time.trim() === '' || ZERO_TIME.test(time))
}

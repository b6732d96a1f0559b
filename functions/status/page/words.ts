import type { Row } from '../http/schemas.ts'

export type State = Row['overall']

/** Worst first. Told apart by shape and word, not by colour alone. */
export const STATES: readonly State[] = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']

export const SHAPES: Readonly<Record<State, string>> = {
  FREERUN: '■',
  HOLDOVER: '▲',
  UNKNOWN: '?',
  LOCKED: '●',
}

export const FLAG_TEXTS: Readonly<Record<Row['flags'][number], string>> = {
  blind: 'No subscription is held and no poll gets an answer: nothing can reach us.',
  suspect: 'An event arrived too late to be believed. The next poll decides.',
  stale: 'Nothing has confirmed the state for too long.',
  unreachable: 'The last poll did not reach the publisher.',
  gone: 'No longer listed, or its Service is gone. Removed after the retention time.',
}

/** `4 min 12 s`, `3 h 5 min`, `12 d 4 h`; negative counts as 0. Milliseconds. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`
}

/** How much longer a node in HOLDOVER may be trusted, counting down. Undefined for any other node. */
export function holdoverText(row: Row, now: number): string | undefined {
  const { holdover } = row
  if (holdover === null) return undefined
  const { endsAt, inSpecification, clockClass } = holdover
  if (!inSpecification && clockClass !== null) return `out of specification: clock class ${clockClass}`
  const left = Date.parse(endsAt) - now
  return left > 0 ? `${duration(left)} of holdover left` : 'holdover budget spent'
}

/** `03:12:05`, with the date if it is not today. UTC, like the logs. */
export function timeOf(iso: string, now: number): string {
  const day = iso.slice(0, 10)
  const time = iso.slice(11, 19)
  return day === new Date(now).toISOString().slice(0, 10) ? time : `${day} ${time}`
}

/** Makes control and direction characters in a name visible. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

export const nodePath = (node: string) => `/nodes/${encodeURIComponent(node)}`

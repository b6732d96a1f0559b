import { INFO } from '../kinds.ts'

const isLock = (kind: string) => INFO.get(kind)?.says === 'lock'

/** No backtracking: an ambiguous pattern would take quadratic time to reject a long text. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
/** How Go prints NaN and infinities. */
const NO_NUMBER = /^(?:nan|[+-]?inf(?:inity)?)$/i

/**
 * Offsets that mean "no offset": −9999999999999999 (−1e+16 through a v1 sidecar), and 99999999999 from a T-BC
 * (protocol.md §4.3).
 */
const SENTINEL = -9.99e15
const SENTINEL_OF_T_BC = 99_999_999_999

/** Far above any real word or number; without a limit one body could fill a node's document. Characters. */
const LONGEST = 64

/** What a value is, whatever its `data_type` claims (design.md §3). */
export type Meaning =
  | { readonly is: 'word'; readonly word: string }
  | { readonly is: 'number'; readonly text: string }
  | { readonly is: 'nothing' }

export function meaningOf(kind: string, value: unknown): Meaning {
  if (typeof value === 'number' && Number.isFinite(value)) return { is: 'number', text: String(value) }
  if (typeof value !== 'string') return { is: 'nothing' }
  const text = value.trim()
  if (NUMBER.test(text)) return text.length > LONGEST ? { is: 'nothing' } : { is: 'number', text }
  if (text === '' || NO_NUMBER.test(text)) return { is: 'nothing' }
  return { is: 'word', word: wordOf(kind, text) }
}

/** Whether an offset means that there is none: the clock free-runs, or its process died. */
export function isNoOffset(text: string): boolean {
  const offset = Number(text)
  return offset <= SENTINEL || offset === SENTINEL_OF_T_BC
}

function wordOf(kind: string, text: string): string {
  const word = text.toUpperCase().replaceAll('_', '-').slice(0, LONGEST).toWellFormed()
  // Some releases answer GNSS pulls with lock words (protocol.md §5).
  if (kind === 'gnss-sync-status' && word === 'LOCKED') return 'SYNCHRONIZED'
  if (!isLock(kind)) return word
  if (word === 'UNLOCKED') return 'FREERUN'
  return word === 'LOCKED' || word === 'HOLDOVER' || word === 'FREERUN' ? word : 'UNKNOWN'
}

const LOCK_ORDER = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']

/**
 * How bad a state is: 0 is worst. Lock words: FREERUN, HOLDOVER, UNKNOWN, LOCKED. GNSS: failures, antenna faults and
 * FREERUN, then BOOTING, ACQUIRING-SYNC and HOLDOVER, then UNKNOWN, then SYNCHRONIZED; an unlisted word ranks worst
 * (design.md §3). Words of unknown kinds all rank alike.
 */
export function rankOf(kind: string, word: string): number {
  if (isLock(kind)) return Math.max(0, LOCK_ORDER.indexOf(word))
  if (kind === 'gnss-sync-status') {
    if (word === 'SYNCHRONIZED') return 3
    if (word === 'UNKNOWN') return 2
    if (word === 'BOOTING' || word === 'ACQUIRING-SYNC' || word === 'HOLDOVER') return 1
  }
  return 0
}

import { stripVTControlCharacters } from 'node:util'

/** Names and words come from the network: characters that move the cursor or change direction are removed. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?')
}

/** JSON that is safe on a terminal: control characters that JSON allows unescaped (C1, direction) are escaped. */
export function escaped(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Combining marks take no column of their own. */
const COMBINING = /^[\p{Mn}\p{Me}]$/u
/** Unicode's East Asian Width W and F, and emoji. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u

/** How many columns of a terminal a plain text takes. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += columnsOf(character)
  return width
}

function columnsOf(character: string): number {
  if (character < '\u0300') return 1
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

/** At most `width` columns of a plain text, with a mark if its end is cut off. */
export function cut(text: string, width: number): string {
  return widthOf(text) <= width ? text : `${headOf([...text], width - 1).join('')}…`
}

/** At most `width` columns, cut in the middle. */
export function cutMiddle(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  const characters = [...text]
  const tail = headOf(characters.toReversed(), Math.floor((width - 1) / 2)).reverse()
  return `${headOf(characters, Math.ceil((width - 1) / 2)).join('')}…${tail.join('')}`
}

function headOf(characters: readonly string[], width: number): string[] {
  const head: string[] = []
  let left = width
  for (const character of characters) {
    left -= columnsOf(character)
    if (left < 0) break
    head.push(character)
  }
  return head
}

/** Exactly `width` columns. */
export function padded(text: string, width: number): string {
  const fitting = cut(text, width)
  return fitting + ' '.repeat(Math.max(0, width - widthOf(fitting)))
}

/**
 * Names cut to `width` columns but still distinct where possible: cut at the end, else in the middle, else before they
 * differ.
 */
export function cutNames(names: readonly string[], width: number): readonly string[] {
  if (names.every((name) => widthOf(name) <= width)) return names
  const distinct = new Set(names).size
  const [first = ''] = names
  const shared = [...first].findIndex((character, i) => names.some((name) => [...name][i] !== character))
  const ways = [
    cut,
    cutMiddle,
    (name: string) => cut(`…${[...name].slice(Math.max(0, shared)).join('')}`, width),
  ]
  let best: string[] = []
  for (const way of ways) {
    const shown = names.map((name) => way(name, width))
    if (new Set(shown).size > new Set(best).size) best = shown
    if (new Set(best).size === distinct) break
  }
  return best
}

import type { Overall } from '#shared/state/merge/overall.ts'

/** Worst first. */
export const STATES: readonly Overall[] = ['FREERUN', 'HOLDOVER', 'UNKNOWN', 'LOCKED']

const SHAPES: Readonly<Record<Overall, string>> = {
  FREERUN: '<rect x="3" y="3" width="26" height="26" fill="#c8102e"/>',
  HOLDOVER: '<path d="M16 2 31 29H1Z" fill="#d98200"/>',
  UNKNOWN:
    '<circle cx="16" cy="16" r="13" fill="none" stroke="#8250df" stroke-width="4" stroke-dasharray="6 4"/>',
  LOCKED: '<circle cx="16" cy="16" r="14" fill="#1a7f37"/>',
}

/** The icon of the tab for a state: told apart by shape as well as colour. */
export function svgOf(state: Overall): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${SHAPES[state]}</svg>\n`
}

import type { Sides } from './rounds.ts'
import type { World } from './world.ts'

export type Row = {
  readonly name: string
  /** What is measured of both sides. */
  readonly unit: string
  /** What `ours / yardstick` must at least, or at most, be. */
  readonly bar: { readonly least: number } | { readonly most: number }
  readonly measure: (world: World) => Promise<Sides>
}

export type Result = Sides & {
  readonly name: string
  readonly ratio: number
  readonly bar: string
  readonly unit: string
  readonly passed: boolean
}

export function resultOf({ name, unit, bar }: Row, sides: Sides): Result {
  const ratio = sides.ours / sides.yardstick
  const [text, passed] =
    'least' in bar ? [`≥ ${bar.least}`, ratio >= bar.least] : [`≤ ${bar.most}`, ratio <= bar.most]
  return { name, ...sides, ratio, bar: text, unit, passed }
}

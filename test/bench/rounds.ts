/** What one row came to: a measured value of each side, in the row's unit. */
export type Sides = { readonly ours: number; readonly yardstick: number }

export type Measure = () => Promise<number>

/**
 * Measures both sides in turn, first one of them then the other, and gives their medians. The round that warms them
 * up is not counted. The side that begins changes with each round: what the machine does besides hits both alike.
 */
export async function alternate(
  rounds: number,
  sides: { readonly ours: Measure; readonly yardstick: Measure },
): Promise<Sides> {
  const ours: number[] = []
  const yardstick: number[] = []
  await sides.ours()
  await sides.yardstick()
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) ours.push(await sides.ours())
    yardstick.push(await sides.yardstick())
    if (round % 2 === 1) ours.push(await sides.ours())
  }
  return { ours: median(ours), yardstick: median(yardstick) }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle]
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle]
  if (upper === undefined || lower === undefined) throw new RangeError('There is no median of nothing')
  return (lower + upper) / 2
}

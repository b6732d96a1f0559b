import { expect, test } from 'vitest'
import { backoffMs, pause } from '#shared/publishers/backoff.ts'

test.each([
  [1, 250, 500],
  [2, 500, 1_000],
  [3, 1_000, 2_000],
  [4, 2_000, 4_000],
  [5, 2_500, 5_000],
  [50, 2_500, 5_000],
  [5_000, 2_500, 5_000],
])('after try %i it waits from %i to %i ms, by chance', (tries, least, most) => {
  expect(backoffMs(tries, () => 0)).toBe(least)
  expect(backoffMs(tries, () => 1)).toBe(most)
})

test('a pause that is aborted, before or while it lasts, ends without an error', async () => {
  const controller = new AbortController()
  const pausing = pause(3_600_000, controller.signal)
  controller.abort()
  await expect(pausing).resolves.toBeUndefined()
  await expect(pause(3_600_000, controller.signal)).resolves.toBeUndefined()
})

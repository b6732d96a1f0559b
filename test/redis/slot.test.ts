import { expect, test } from 'vitest'
import { slotOf } from '#shared/redis/slot.ts'

// What `CLUSTER KEYSLOT` of a Redis 7.0 answers.
test.each([
  ['123456789', 12739],
  ['0', 13907],
  ['f', 3168],
  ['foo', 12182],
  ['é', 10180],
  ['', 0],
])('the slot of %j is %i', (tag, slot) => {
  expect(slotOf(tag)).toBe(slot)
})

import { isoTime } from '#shared/time.ts'
import type { MergeSettings } from './settings.ts'

/**
 * Whether a stored time of ours lies further in the future than our hosts' clocks may differ: one of them was set
 * back since, or is wrong. Such a time proves nothing (design.md §3, time). `now` in milliseconds.
 */
export function isAhead(time: string, now: number, { settleMs }: MergeSettings): boolean {
  // Times of our own clock are all written alike, so that their texts are in their order.
  return time > isoTime(now + settleMs)
}

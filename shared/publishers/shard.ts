import { hash } from 'node:crypto'

/** The shard, from 0, that a name belongs to: the same in every process, whatever else is listed. */
export function shardOf(name: string, count: number): number {
  return Number.parseInt(hash('sha256', name).slice(0, 8), 16) % count
}

import { expect, test } from 'vitest'
import { keysOf, TAGS } from '#shared/state/drivers/redis.ts'
import { range } from './samples.ts'

test.each(['node1.example.com', '', 'nöde', '节点-7', '🛰️', 'a}{b', '__proto__', 'x'.repeat(5000)])(
  'the node %j has one of the sixteen tags, and its keys end in its name',
  (node) => {
    const { tag, keys } = keysOf(node)
    expect(TAGS).toContain(tag)
    expect(keys).toEqual([
      `ptpwatch:{${tag}}:state:${node}`,
      `ptpwatch:{${tag}}:log:${node}`,
      `ptpwatch:{${tag}}:nodes`,
    ])
  },
)

test.each(['node#.example.com', '10.0.0.#'])(
  'names like %s, with numbers, are spread over all tags',
  (pattern) => {
    const shares = Map.groupBy(range(1, 200), (number) => keysOf(pattern.replace('#', String(number))).tag)
    expect([...shares.keys()].sort()).toEqual(TAGS)
    for (const share of shares.values()) expect(share.length).toBeLessThan(200 / 8)
  },
)

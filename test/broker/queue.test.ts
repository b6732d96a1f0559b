import { onTestFinished, expect, test } from 'vitest'
import { createQueue, type Worked } from '#shared/broker/queue.ts'
import { range } from '../state/drivers/samples.ts'
import { soon } from './world.ts'

const TAKEN: Worked = { done: true, answered: true }
const REFUSED: Worked = { done: false, sink: true }

/** A queue whose work ends when, and as, the test says. */
function makeQueue() {
  const begun: string[] = []
  const active = new Map<string, (worked: Worked) => void>()
  const sizes: number[] = []
  let watch = () => {}
  const queue = createQueue(
    (node) =>
      new Promise((resolve) => {
        begun.push(node)
        active.set(node, (worked) => {
          active.delete(node)
          resolve(worked)
        })
        watch()
      }),
    { random: () => 0, concurrency: 32, onSize: (size) => void sizes.push(size) },
  )
  onTestFinished(() => {
    const closed = queue.close()
    for (const end of active.values()) end(TAKEN)
    return closed
  })
  return {
    queue,
    begun,
    active,
    size: () => sizes.at(-1),
    end: (worked: Worked) => {
      for (const end of [...active.values()]) end(worked)
    },
    until: (holds: () => boolean) =>
      new Promise<void>((resolve) => {
        watch = () => {
          if (holds()) resolve()
        }
        watch()
      }),
  }
}

/** All that was put off to a later turn has had its turn. */
async function turns() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
}

const nodes = range(1, 100).map((number) => `node${number}`)

test('no more nodes are worked on at once than allowed, and each has its turn', async () => {
  const { queue, begun, active, end } = makeQueue()
  for (const node of nodes) queue.add(node)
  await turns()
  expect(active.size).toBe(32)
  while (active.size > 0) {
    end(TAKEN)
    await turns()
    expect(active.size).toBeLessThanOrEqual(32)
  }
  expect(begun).toEqual(nodes)
})

test('when several in a row were refused, one alone tries until one is taken; then all do', async () => {
  const { queue, begun, active, end, until, size } = makeQueue()
  for (const node of nodes) queue.add(node)
  await turns()
  end(REFUSED)
  await turns()
  expect(active.size).toBe(0)
  expect(size()).toBe(100)
  expect(await queue.settle(soon())).toBe(false)
  await until(() => begun.length > 32)
  await turns()
  expect(active.size).toBe(1)
  end(TAKEN)
  await turns()
  expect(active.size).toBe(32)
  while (active.size > 0) {
    end(TAKEN)
    await turns()
  }
  expect(new Set(begun).size).toBe(100)
  expect(size()).toBe(0)
})

test('a node is worked on by one at a time, and once more for what came meanwhile', async () => {
  const { queue, begun, active, end } = makeQueue()
  queue.add('a')
  await turns()
  for (let time = 0; time < 10; time += 1) queue.add('a')
  await turns()
  expect(active.size).toBe(1)
  end(TAKEN)
  await turns()
  end(TAKEN)
  await turns()
  expect(begun).toEqual(['a', 'a'])
})

test('a node that waits for its next try is not hurried by what is added to it', async () => {
  const { queue, begun, end, until } = makeQueue()
  queue.add('a')
  await turns()
  end(REFUSED)
  await turns()
  queue.add('a')
  await turns()
  expect(begun).toEqual(['a'])
  // It comes by itself.
  await until(() => begun.length === 2)
})

test('what may wait is done at once when there is a reason to', async () => {
  const { queue, begun } = makeQueue()
  queue.add('a', 1_000_000)
  queue.add('b', 1_000_000)
  await turns()
  expect(begun).toEqual([])
  queue.add('a')
  await turns()
  expect(begun).toEqual(['a'])
  void queue.settle(soon())
  await turns()
  expect(begun).toEqual(['a', 'b'])
})

test('a sink that says when to come again is left alone until then, by all', async () => {
  const { queue, begun, active, end } = makeQueue()
  queue.add('a')
  await turns()
  end({ done: false, sink: true, afterMs: 1_000_000 })
  await turns()
  queue.add('b')
  await turns()
  expect(active.size).toBe(0)
  expect(begun).toEqual(['a'])
})

test('a store that fails concerns its node alone', async () => {
  const { queue, begun, end } = makeQueue()
  for (const node of ['a', 'b', 'c', 'd']) queue.add(node)
  await turns()
  end({ done: false, sink: false })
  await turns()
  queue.add('e')
  await turns()
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('settling ends when it is told to, and says that something is left', async () => {
  const { queue, active } = makeQueue()
  queue.add('a')
  await turns()
  const over = new AbortController()
  const settled = queue.settle(over.signal)
  over.abort()
  expect(await settled).toBe(false)
  expect(active.size).toBe(1)
})

test('a closed queue begins nothing, and is closed when nothing is under way', async () => {
  const { queue, begun, end } = makeQueue()
  queue.add('a')
  await turns()
  queue.add('a')
  queue.add('b', 10)
  const closed = queue.close()
  queue.add('c')
  end(REFUSED)
  await closed
  await turns()
  expect(begun).toEqual(['a'])
})

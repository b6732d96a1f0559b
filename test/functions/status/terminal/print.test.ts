import { expect, test } from 'vitest'
import { printStatus, sourceOf } from '#functions/status/terminal/print.ts'
import type { Flags } from '#shared/runtime/function.ts'
import type { NodeState } from '#shared/state/document.ts'
import { isoTime } from '#shared/time.ts'
import { defaultShown, clockAt, lockedNode, openStore, put } from '../../fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')

/** What the command prints of a fleet, line by line. */
async function printed(fleet: readonly NodeState[], flags: Flags = {}, columns?: number): Promise<string[]> {
  const store = await openStore('memory:')
  for (const state of fleet) await put(store, state)
  let out = ''
  const terminal = {
    out: (text: string) => {
      out += text
    },
    err: () => {},
    interactive: columns !== undefined,
    colour: false,
    columns: columns ?? 100,
  }
  const deps = { store, clock: { now: () => NOW }, settings: defaultShown, historyPerNode: 50 }
  await printStatus(
    sourceOf({ ...deps, shownStore: 'sqlite:/var/lib/a-folder-with-a-long-name/state.db' }),
    flags,
    {
      signal: new AbortController().signal,
      terminal,
    },
  )
  return out.split('\n')
}

const polled = (secondsAgo: number) => ({
  url: 'http://p',
  dialect: 'red-hat-v2',
  reachable: true,
  checkedAt: isoTime(NOW - secondsAgo * 1000),
})

test.each([
  [[], 'Never polled.'],
  [[12], 'Last poll ≤12s ago.'],
  [[500, 12], 'Last poll ≤12s ago.'],
  [[500], 'Last poll 8m ago: polls have stopped.'],
  [[-3600, 500], 'Last poll 8m ago: polls have stopped.'],
  [[-3600], 'Last poll at an unknown time: it lies in the future.'],
])('polled %j seconds ago: %s', async (ages, told) => {
  const fleet = [
    lockedNode('z', NOW),
    ...ages.map((ago, i) => lockedNode(`n${i}`, NOW, { publisher: polled(ago) })),
  ]
  expect((await printed(fleet))[0]).toContain(` LOCKED. ${told}`)
})

test('the summary counts states, and what is in doubt', async () => {
  const suspect = { told: 'FREERUN', at: isoTime(NOW), receivedAt: isoTime(NOW) }
  const fleet = [
    lockedNode('a', NOW),
    lockedNode('b', NOW - 200_000),
    lockedNode('c', NOW, { clocks: [clockAt(NOW, 'lock-state', 'ens1', { suspect })] }),
    lockedNode('d', NOW, { publisher: { ...polled(1), reachable: false, blindSince: isoTime(NOW) } }),
  ]
  expect((await printed(fleet))[0]).toContain(
    ' 4 nodes: 3 UNKNOWN, 1 LOCKED, 1 blind, 1 suspect, 1 stale. Last poll ≤1s ago.',
  )
})

test('on a narrow terminal the store stands on a line of its own, cut in the middle', async () => {
  const [store, summary] = await printed([lockedNode('a', NOW)], {}, 40)
  expect(store).toBe('Store sqlite:/var/li…long-name/state.db.')
  expect(summary).toBe('1 node: 1 LOCKED. Never polled.')
})

test('names with control characters: JSON keeps them without showing them, and no output obeys them', async () => {
  const name = 'a\u009b2J\u001b[2J\u202eb'
  for (const output of ['table', 'json', 'csv', 'name']) {
    const text = (await printed([lockedNode(name, NOW)], { output })).join('')
    expect(text).not.toMatch(/(?!\r)[\p{Cc}\p{Cf}]/u)
    if (output === 'json') expect(JSON.parse(text).nodes[0].node).toBe(name)
  }
})

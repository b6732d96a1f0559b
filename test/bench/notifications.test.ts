import { describe, expect, test } from 'vitest'
import { normalise } from '#shared/events/normalise.ts'
import { applyAll } from '#shared/state/store/batch.ts'
import { mergePush } from '#shared/state/merge/push.ts'
import { emptyNodeState, type NodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import {
  changingNotifications,
  createTimes,
  nodeName,
  oneOfEachKind,
  type Template,
} from './notifications.ts'
import { alternate, median } from './rounds.ts'

const node = nodeName(0)
const times = createTimes()

function observationsOf(template: Template) {
  const receivedAt = new Date().toISOString()
  const json: unknown = JSON.parse(template.fill(node, times()))
  const { observations, problems } = normalise(json, { node, receivedAt, via: 'push' })
  expect(problems).toEqual([])
  return observations
}

describe('the events of the benches', () => {
  test('are applied, each time they come round', () => {
    const templates = changingNotifications()
    let state: NodeState = emptyNodeState(node, 'x')
    for (const template of [...templates, ...templates]) {
      const observations = observationsOf(template)
      const outcome = mergePush(state, observations, defaultSettings, Date.now())
      expect(outcome.result).toBe('applied')
      const { write } = applyAll(state, [outcome], (step) => step, undefined)
      expect(write).toBeDefined()
      state = write?.state ?? state
    }
  })

  test('cover the seven kinds where each kind is wanted', () => {
    const kinds = new Set(
      oneOfEachKind().flatMap((template) => observationsOf(template).map(({ kind }) => kind)),
    )
    expect(kinds.size).toBe(7)
  })
})

describe('rounds', () => {
  test('alternate, and the first of each side is not counted', async () => {
    const order: string[] = []
    const measure = (name: string, values: number[]) => async () => {
      order.push(name)
      return values.shift() ?? Number.NaN
    }
    const sides = { ours: measure('a', [100, 1, 2, 9]), yardstick: measure('b', [100, 3, 4, 8]) }
    expect(await alternate(3, sides)).toEqual({ ours: 2, yardstick: 4 })
    expect(order.join('')).toBe('abab'.concat('ba', 'ab'))
  })

  test('have the mean of the two in the middle as median of an even number', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(() => median([])).toThrow(RangeError)
  })
})

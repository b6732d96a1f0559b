import { describe, expect, test } from 'vitest'
import { createRedHatV1 } from '#local/publishers/index.ts'
import { exceptions } from './replay/exceptions.ts'
import { createLogReader } from './replay/log-lines.ts'
import { node, prove } from './replay/prove.ts'
import { timeScale } from './replay/replay.ts'

const scenarios = ['lifecycle', 'registration']
const eventScenarios = ['events-oc', 'events-gm', 'events-dual']

function create(release: '4.14' | '4.18') {
  return createRedHatV1({
    node,
    release,
    warmUpMs: Number.POSITIVE_INFINITY,
    deliveryTimeoutMs: 2000 * timeScale,
    validationTimeoutMs: 10_000 * timeScale,
    // Wider than the rest: pulls come between an event that is held and the one that releases it.
    hopTimeoutMs: 4000 * timeScale,
    registerAfterMs: 2 ** 30,
  })
}

describe('a v1 publisher of 4.14 and its sidecar answer and call as recorded', () => {
  test.each(scenarios)('%s', (scenario) => prove(`release-4.14-v1/${scenario}`, create('4.14')))

  test.each(eventScenarios)('%s, fed with the recorded log lines', (scenario) =>
    prove(`release-4.14-v1/${scenario}`, create('4.14'), { reader: createLogReader('4.14') }),
  )

  test('stuck-sidecar', () => prove('release-4.14-v1/stuck-sidecar', create('4.14'), { stuckFrom: 15 }))
})

describe('a v1 publisher of 4.18 and its sidecar answer and call as recorded', () => {
  test.each(scenarios)('%s', (scenario) => prove(`release-4.18-v1/${scenario}`, create('4.18')))

  test.each([...eventScenarios, 'events-ntp'])('%s, fed with the recorded log lines', (scenario) =>
    prove(`release-4.18-v1/${scenario}`, create('4.18'), { reader: createLogReader('4.18') }),
  )

  test('stuck-sidecar', () =>
    prove('release-4.18-v1/stuck-sidecar', create('4.18'), { stuckFrom: 15, swapsHeld: true }))
})

test('six exchanges of all recordings are replayed without comparing, each for a reason', () => {
  expect(exceptions.map(({ name, n }) => `${name} ${n}`)).toEqual([
    'main-v2/lifecycle 141',
    'release-4.18-v2/lifecycle 136',
    'release-4.14-v1/lifecycle 106',
    'release-4.18-v1/lifecycle 103',
    'release-4.18-v1/lifecycle 95',
    'release-4.18-v1/stuck-sidecar 15',
  ])
})

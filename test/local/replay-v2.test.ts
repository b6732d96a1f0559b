import { describe, test } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { createLogReader } from './replay/log-lines.ts'
import { node, prove } from './replay/prove.ts'
import { timeScale } from './replay/replay.ts'

const scenarios = ['lifecycle', 'drop', 'drop-counter', 'restart']
const eventScenarios = ['events-oc', 'events-gm', 'events-dual', 'events-ntp']

const options = { node, warmUpMs: Number.POSITIVE_INFINITY, deliveryTimeoutMs: 2000 * timeScale }

describe('a v2 publisher of today answers and calls as recorded', () => {
  const create = () => createRedHatV2({ ...options, release: 'main' })

  test.each([...scenarios, 'restart-cmd', 'events-tbc'])('%s', (scenario) =>
    prove(`main-v2/${scenario}`, create()),
  )

  test.each(eventScenarios)('%s, fed with the recorded log lines', (scenario) =>
    prove(`main-v2/${scenario}`, create(), { reader: createLogReader('main') }),
  )
})

describe('a v2 publisher of 4.18 answers and calls as recorded', () => {
  const create = () => createRedHatV2({ ...options, release: '4.18' })

  test.each(scenarios)('%s', (scenario) => prove(`release-4.18-v2/${scenario}`, create()))

  test.each(eventScenarios)('%s, fed with the recorded log lines', (scenario) =>
    prove(`release-4.18-v2/${scenario}`, create(), { reader: createLogReader('4.18') }),
  )
})

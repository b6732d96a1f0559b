import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clocksIn, redHatV2, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'
import { clockOf } from './support/view.ts'

const FUNCTIONS = ['ingest', 'poll', 'status'] as const
const HOUR_MS = 3_600_000
/** Settles and goes stale fast; the poll is not to hold up what it finds dead. */
const FAST = { STALE_AFTER_SECONDS: '3', SETTLE_SECONDS: '0.2', POLL_DEADLINE_SECONDS: '5' }

/** The system with clocks that the test sets; `set` sets those of some functions, in ms ahead of the right time. */
async function withClocks(ahead: readonly (typeof FUNCTIONS)[number][]) {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-clocks-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const set = async (ms: number) => {
    for (const name of FUNCTIONS) await writeFile(join(folder, name), String(ahead.includes(name) ? ms : 0))
  }
  await set(HOUR_MS)
  const [publisher] = await listening(redHatV2())
  publisher.setClock(...clocksIn('LOCKED'))
  const preload = new URL('support/own-clock.ts', import.meta.url).href
  const system = await startSystem([publisher], {
    ...FAST,
    OWN_CLOCKS: folder,
    NODE_OPTIONS: `--import ${preload}`,
  })
  return { publisher, system, set }
}

test.each([
  { ahead: FUNCTIONS },
  { ahead: ['ingest'] as const },
  { ahead: ['poll'] as const },
  { ahead: ['status'] as const },
])('when the clocks of $ahead are set back, silence is never LOCKED', async ({ ahead }) => {
  const { publisher, system, set } = await withClocks(ahead)
  publisher.setClock({ kind: 'lock-state', state: 'HOLDOVER' }, { kind: 'lock-state', state: 'LOCKED' })
  for (let n = 0; n < 3; n++) await system.tick()
  await set(0)
  // What agrees after the step is believed again …
  await steady(system, publisher)
  await eventually(async () => {
    await system.tick()
    expect((await system.node(publisher)).overall).toBe('LOCKED')
  })
  // … and what says nothing is not, with polls that go on.
  await publisher.close()
  await eventually(async () => {
    await system.tick()
    expect(await system.node(publisher)).toMatchObject({ overall: 'UNKNOWN', stale: true })
  })
})

test('a FREERUN from before our clocks were set back is ended by polls that say LOCKED', async () => {
  const { publisher, system, set } = await withClocks(FUNCTIONS)
  await steady(system, publisher)
  await publisher.faults({ drop: 1 })
  publisher.setClock({ kind: 'lock-state', state: 'FREERUN', offset: 4000 })
  await publisher.idle()
  await system.tick()
  expect((await system.node(publisher)).overall).toBe('FREERUN')
  await publisher.faults({ drop: 1 })
  publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: 2 })
  await publisher.idle()
  await set(0)
  await eventually(async () => {
    await system.tick()
    expect(clockOf(await system.node(publisher), 'lock-state')).toMatchObject({
      state: 'LOCKED',
      stale: false,
    })
  })
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clocksIn, redHatV2, steady } from './support/publishers.ts'
import { eventually, listening, startSystem } from './support/system.ts'

const FUNCTIONS = ['ingest', 'poll', 'status'] as const
const HOUR_MS = 3_600_000
/** Settles and goes stale fast; the poll is not to hold up what it finds dead. */
const FAST = { STALE_AFTER_SECONDS: '3', SETTLE_SECONDS: '0.2', POLL_DEADLINE_SECONDS: '5' }

/** The system with clocks that the test sets; `set` sets them, in ms ahead of the right time. */
async function withClocks() {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-clocks-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const set = async (ms: number) => {
    for (const name of FUNCTIONS) await writeFile(join(folder, name), String(ms))
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

test('when our clocks are set back, silence is never LOCKED', async () => {
  const { publisher, system, set } = await withClocks()
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

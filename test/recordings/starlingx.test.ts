import { expect, test } from 'vitest'
import { recordings } from './recording.ts'
import { replay } from './replay.ts'

async function replayOf(name: string) {
  const recording = recordings().find((one) => one.name === name)
  if (recording === undefined) throw new Error(`There is no recording ${name}`)
  const { log, state } = await replay(recording)
  return { log, state, changes: log.filter(({ type }) => type === 'changed') }
}

test('a restart of the notification service makes no FREERUN and nothing missed', async () => {
  const { log } = await replayOf('starlingx-v2/events controller-0')
  // It starts at 03:22:08, is pulled at 03:22:12 and has published by 03:22:19.
  const timeOf = ({ at, notAfter }: (typeof log)[number]) => at ?? notAfter ?? ''
  const during = log.filter(
    (entry) => timeOf(entry) > '2026-11-28T03:22:05' && timeOf(entry) < '2026-11-28T03:23',
  )
  expect(during).toEqual([])
})

test('what another consumer was served in our place is missed, and nothing else', async () => {
  const { log } = await replayOf('starlingx-v2/events controller-0')
  const missed = log.filter(({ type }) => type === 'missed')
  expect(missed.map(({ kind, instance, from, to }) => `${kind} ${instance} ${from} ${to}`)).toEqual([
    'lock-state ptp-inst2 LOCKED FREERUN',
    'lock-state ptp-inst2 FREERUN HOLDOVER',
  ])
  for (const name of ['events controller-1', 'lifecycle controller-0', 'lifecycle controller-1']) {
    const { state } = await replayOf(`starlingx-v2/${name}`)
    expect(state.counters).toMatchObject({ missed: 0, quarantined: 0, clockSteps: 0 })
  }
})

test('two instances are two clocks in the legacy format: one LOCKED does not hide the other', async () => {
  const { changes } = await replayOf('starlingx-v2/events controller-0')
  const legacy = changes.filter(({ at = '' }) => at > '2026-11-28T03:23:20' && at < '2026-11-28T03:24:30')
  const lock = legacy.filter(({ kind }) => kind === 'lock-state')
  expect(lock.map(({ instance, from, to }) => `${instance} ${from} ${to}`)).toEqual([
    'ptp-inst1 LOCKED HOLDOVER',
    'ptp-inst1 HOLDOVER LOCKED',
  ])
  // GNSS is pushed plain and pulled as a map: one clock all the same, with its times.
  const gnss = legacy.filter(({ kind }) => kind === 'gnss-sync-status')
  expect(gnss.map(({ instance, to, via }) => `${instance} ${to} ${via}`)).toEqual([
    'ts1 FAILURE-NOFIX push',
    'ts1 SYNCHRONIZED push',
  ])
})

import { describe, expect, it } from 'vitest'
import { normalise } from '#shared/events/normalise.ts'
import type { Observation } from '#shared/events/observation.ts'
import { type Content, sameValue, shownValue, worstOf } from '#shared/state/merge/clock.ts'
import { compareTimes } from '#shared/time.ts'
import { beginOf, isOurNotification, pulledAddress, type Recording, recordings } from './recording.ts'
import { type Replayed, replay } from './replay.ts'

type Said = { readonly at: string; readonly value: string; readonly content: Content }

describe.each(recordings())('the recording $name', (recording) => {
  let replayed: Promise<Replayed> | undefined
  const asRecorded = () => {
    replayed ??= replay(recording)
    return replayed
  }

  it('ends in the state of its last pulls', async () => {
    const { state } = await asRecorded()
    const told = lastPulls(recording)
    const found = Object.fromEntries(
      Object.keys(told).map((key) => {
        const clock = state.clocks.find(({ kind, instance }) => `${kind} ${instance}` === key)
        return [key, clock === undefined ? 'absent' : shownValue(clock)]
      }),
    )
    expect(found).toEqual(told)
  })

  it.each([1, 2])(
    'ends there too when its notifications arrive late and in another order (%i)',
    async (seed) => {
      const delays = lcg(seed)
      const { state } = await replay(
        recording,
        (exchange) => beginOf(exchange) + Math.floor(delays() * 20_000),
      )
      const told = lastPulls(recording)
      const { state: inOrder } = await asRecorded()
      for (const clock of state.clocks) {
        const key = `${clock.kind} ${clock.instance}`
        const reference = inOrder.clocks.find(({ kind, instance }) => `${kind} ${instance}` === key)
        expect({ key, value: shownValue(clock) }).toEqual({
          key,
          value: told[key] ?? shownValue(reference ?? clock),
        })
      }
    },
  )

  it('makes no clock suspect, as recorded and with up to 4 s of delay', async () => {
    expect((await asRecorded()).state.counters.suspect).toBe(0)
    const delays = lcg(7)
    const { state } = await replay(recording, (exchange) => beginOf(exchange) + Math.floor(delays() * 4_000))
    expect(state.counters.suspect).toBe(0)
  })

  it('makes no clock change more often than its publisher said', async () => {
    const { log } = await asRecorded()
    for (const [key, said] of Object.entries(timelines(recording))) {
      const changes = log.filter(
        (entry) => entry.type === 'changed' && `${entry.kind} ${entry.instance}` === key,
      )
      expect({ key, changes: Math.max(changes.length, said) }).toEqual({ key, changes: said })
    }
  })
})

/** What each clock's last pull says of it, save where a push says something newer. */
function lastPulls(recording: Recording): Record<string, string> {
  const last = new Map<string, Said>()
  const newestPush = new Map<string, string>()
  for (const { observations, how } of readings(recording)) {
    for (const [key, same] of Object.entries(Object.groupBy(observations, keyOf))) {
      const [first, ...others] = (same ?? []).map((reading) => ({
        ...contentOf(reading),
        kind: reading.kind,
        at: reading.at,
      }))
      if (first === undefined) continue
      if (how === 'push') newestPush.set(key, later(newestPush.get(key), first.at))
      else {
        const worst = worstOf(first.kind, first, ...others)
        last.set(key, { at: first.at, value: shownValue(worst), content: worst })
      }
    }
  }
  return Object.fromEntries(
    [...last]
      .filter(([key, { at }]) => compareTimes(newestPush.get(key) ?? at, at) <= 0)
      .map(([key, { value }]) => [key, value]),
  )
}

/** How often each clock changed, going by everything that was said of it in the order of the publisher's times. */
function timelines(recording: Recording): Record<string, number> {
  const said = new Map<string, Said[]>()
  for (const { observations } of readings(recording)) {
    for (const reading of observations) {
      const content = contentOf(reading)
      const key = keyOf(reading)
      said.set(key, [...(said.get(key) ?? []), { at: reading.at, value: shownValue(content), content }])
    }
  }
  return Object.fromEntries(
    [...said].map(([key, all]) => {
      const sorted = all.sort((a, b) => compareTimes(a.at, b.at))
      const changes = sorted.filter(({ content }, index) => {
        const before = sorted[index - 1]
        return before === undefined || !sameValue(before.content, content)
      })
      return [key, changes.length]
    }),
  )
}

function readings(recording: Recording): { observations: readonly Observation[]; how: 'push' | 'pull' }[] {
  return recording.exchanges.flatMap((exchange) => {
    const isPull = pulledAddress(exchange) !== undefined && exchange.response?.status === 200
    const body = isOurNotification(exchange) ? exchange.request.body : isPull ? exchange.response?.body : null
    if (body == null) return []
    const { observations } = normalise(JSON.parse(body), {
      node: recording.node,
      receivedAt: exchange.t,
      via: 'push',
    })
    const how = isPull || exchange.during !== undefined ? 'pull' : 'push'
    return [{ observations, how }]
  })
}

function keyOf({ kind, instance }: Pick<Observation, 'kind' | 'instance'>): string {
  return `${kind} ${instance}`
}

function contentOf({ state, metrics }: Observation): Content {
  return { state: state ?? null, metrics }
}

function later(a: string | undefined, b: string): string {
  return a === undefined || compareTimes(a, b) < 0 ? b : a
}

/** A small generator of numbers in [0, 1) that a seed repeats. */
function lcg(seed: number): () => number {
  let value = seed
  return () => {
    value = (value * 1_103_515_245 + 12_345) % 2_147_483_648
    return value / 2_147_483_648
  }
}

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Observation } from '#shared/events/observation.ts'
import { rankOf } from '#shared/events/words.ts'
import { type NodeState, nodeState } from '#shared/state/document.ts'
import { answer, at, createNode, type Node, none, reading, type Said } from '../builders.ts'

const LOCK = 'lock-state'
const OS = 'os-clock-sync-state'
const SYNC = 'sync-state'
const PLAIN = [LOCK, OS, 'gnss-sync-status', 'clock-class', 'synce-clock-quality', 'mock']

const lockWord = fc.constantFrom('LOCKED', 'HOLDOVER', 'FREERUN', 'UNKNOWN')
const number = fc.constantFrom('6', '7', '248', '6.0', '1e309')

function saidOf(kind: string): fc.Arbitrary<Said> {
  if (kind === 'clock-class') return number.map((clockClass) => ({ clockClass }))
  if (kind === 'synce-clock-quality')
    return fc.record({ ql: number, extQl: number }, { requiredKeys: ['ql'] })
  if (kind === 'gnss-sync-status') return fc.constantFrom('SYNCHRONIZED', 'BOOTING', 'FAILURE-NOFIX', 'ODD')
  if (kind === 'mock') return fc.constantFrom('ON', 'OFF')
  return lockWord
}

const metrics = fc.constantFrom<Record<string, string>>({}, { offset: '-2' }, { offset: '1e+06' })
const instance = fc.constantFrom('a', 'b')

/** A push dated within `span` seconds, at a tenth of a second: some have the same time. */
function pushIn(span: number, kinds: readonly string[]): fc.Arbitrary<Observation> {
  return fc
    .constantFrom(...kinds)
    .chain((kind) =>
      fc.tuple(fc.constant(kind), saidOf(kind), fc.integer({ min: 0, max: span * 10 }), metrics, instance),
    )
    .map(([kind, said, tenths, numbers, name]) =>
      reading(kind, said, { at: tenths / 10, received: 100, metrics: numbers, instance: name }),
    )
}

/** Pushes, and the same pushes in another order, some of them more than once. */
function shuffled(pushes: readonly Observation[]): fc.Arbitrary<readonly Observation[]> {
  if (pushes.length === 0) return fc.constant([])
  return fc
    .tuple(
      fc.shuffledSubarray([...pushes], { minLength: pushes.length }),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...pushes)), { maxLength: 6 }),
    )
    .map(([order, again]) =>
      again.reduce<readonly Observation[]>(
        (some, [where, push]) => some.toSpliced(where % (some.length + 1), 0, push),
        order,
      ),
    )
}

const inOtherOrders = (pushes: fc.Arbitrary<Observation>, maxLength = 12) =>
  fc.array(pushes, { minLength: 1, maxLength }).chain((some) => fc.tuple(fc.constant(some), shuffled(some)))

function mergeAll(node: Node, pushes: readonly Observation[]): void {
  for (const push of pushes) node.merge(push)
}

const shown = ({ clocks }: NodeState) =>
  clocks
    .map(({ kind, instance: name, state, metrics: numbers, observedAt }) => ({
      clock: `${kind} ${name}`,
      state,
      numbers,
      observedAt,
    }))
    .sort((a, b) => a.clock.localeCompare(b.clock))

describe('the order of arrival', () => {
  test('of pushes within 60 s does not matter, nor does repetition', () => {
    fc.assert(
      fc.property(inOtherOrders(pushIn(60, PLAIN)), ([pushes, others]) => {
        const [one, other] = [createNode(), createNode()]
        mergeAll(one, pushes)
        mergeAll(other, others)
        expect(shown(other.state)).toEqual(shown(one.state))
      }),
      { numRuns: 500 },
    )
  })

  test('ends in what the newest push said, and of those with the same time in the worst', () => {
    fc.assert(
      fc.property(fc.array(pushIn(60, [LOCK, OS]), { minLength: 1, maxLength: 12 }), (pushes) => {
        const node = createNode()
        mergeAll(node, pushes)
        for (const clock of node.state.clocks) {
          const own = pushes.filter((push) => push.kind === clock.kind && push.instance === clock.instance)
          const newest = own
            .map((push) => push.at)
            .sort()
            .at(-1)
          const ranks = own
            .filter((push) => push.at === newest)
            .map((push) => rankOf(clock.kind, push.state ?? ''))
          expect(rankOf(clock.kind, clock.state ?? '')).toBe(Math.min(...ranks))
          expect(clock.observedAt).toBe(newest)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('of pushed sync-states does not matter for the word, which is never better than the worst of them', () => {
    fc.assert(
      fc.property(inOtherOrders(pushIn(60, [SYNC])), ([pushes, others]) => {
        const [one, other] = [createNode(), createNode()]
        mergeAll(one, pushes)
        mergeAll(other, others)
        const words = (node: Node) => shown(node.state).map(({ clock, state }) => [clock, state])
        expect(words(other)).toEqual(words(one))
        expect(one.state.clocks.map(({ state }) => state)).not.toContain('LOCKED')
      }),
      { numRuns: 500 },
    )
  })

  test('of one contested pull and the pushes dated around it does not matter', () => {
    const push = pushIn(4, [OS]).map((one) => ({ ...one, instance: 'a' }))
    const entries = fc.array(lockWord, { minLength: 2, maxLength: 3 })
    const where = fc.nat({ max: 20 })
    fc.assert(
      fc.property(inOtherOrders(push, 8), entries, where, where, ([pushes, others], words, here, there) => {
        // The pull answers at 2 s; nothing waits long enough to prove that the clock was set back.
        const pull = answer(OS, words, { sent: 100, at: 2, received: 100, instance: 'a' })
        const run = (some: readonly Observation[], index: number) => {
          const node = createNode()
          mergeAll(node, some.slice(0, index))
          node.poll([pull])
          mergeAll(node, some.slice(index))
          return node.clock(OS, 'a')
        }
        const [one, other] = [run(pushes, here), run(others, there)]
        expect(other.state).toBe(one.state)
        expect([one.contested, other.contested]).toEqual([true, true])
        const after = pushes.filter((some) => some.at > at(2)).map(({ state }) => state ?? '')
        const ranks = [...words, ...after].map((word) => rankOf(OS, word))
        expect(rankOf(OS, one.state ?? '')).toBe(Math.min(...ranks))
      }),
      { numRuns: 500 },
    )
  })
})

test('a push that is late within 60 s changes nothing of an ordinary clock', () => {
  fc.assert(
    fc.property(
      fc.array(pushIn(60, PLAIN), { minLength: 1, maxLength: 8 }),
      pushIn(60, PLAIN),
      (pushes, late) => {
        const node = createNode()
        mergeAll(node, pushes)
        const newest = node.state.clocks.find(
          (one) => one.kind === late.kind && one.instance === late.instance,
        )
        fc.pre(newest !== undefined && newest.observedAt > late.at)
        const before = shown(node.state)
        const log = node.log.length
        expect(['late', 'duplicate']).toContain(node.merge(late))
        expect(shown(node.state)).toEqual(before)
        expect(node.log).toHaveLength(log)
      },
    ),
    { numRuns: 500 },
  )
})

/** What may happen to a node; times are seconds since what happened before. */
type Happening =
  | {
      readonly what: 'push'
      readonly kind: string
      readonly said: Said
      readonly name: string
      readonly age: number
      readonly via: 'push' | 'broker'
    }
  | {
      readonly what: 'poll' | 'initial'
      readonly kind: string
      readonly said: readonly (readonly [string, Said])[]
      readonly queryTime: boolean
      readonly took: number
      readonly ahead: number
    }
  | { readonly what: 'none'; readonly kind: string }
  | { readonly what: 'named'; readonly kind: string; readonly name: string }
  | { readonly what: 'again'; readonly which: number }

const kinds = fc.constantFrom(...PLAIN, SYNC)
const age = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 50 }) },
  fc.integer({ min: -200, max: 4000 }),
)

function historyOf(kind: fc.Arbitrary<string>, said: typeof saidOf, name: fc.Arbitrary<string>) {
  const push = kind.chain((one) =>
    fc.record({
      what: fc.constant('push' as const),
      kind: fc.constant(one),
      said: said(one),
      name,
      age,
      via: fc.constantFrom('push' as const, 'broker' as const),
    }),
  )
  const pull = kind.chain((one) =>
    fc.record({
      what: fc.constantFrom('poll' as const, 'poll' as const, 'initial' as const),
      kind: fc.constant(one),
      said: fc.array(fc.tuple(name, said(one)), { maxLength: 3 }),
      queryTime: fc.boolean(),
      took: fc.integer({ min: 0, max: 10 }),
      ahead: age,
    }),
  )
  const happening: fc.Arbitrary<Happening> = fc.oneof(
    { weight: 5, arbitrary: push },
    { weight: 4, arbitrary: pull },
    fc.record({ what: fc.constant('none' as const), kind }),
    fc.record({ what: fc.constant('named' as const), kind, name }),
    fc.record({ what: fc.constant('again' as const), which: fc.nat() }),
  )
  return fc.array(fc.tuple(fc.integer({ min: 0, max: 900 }), happening), { maxLength: 25 })
}

const history = historyOf(kinds, saidOf, instance)

/** Of nodes that are LOCKED more often than not. */
const mostlyLocked = historyOf(
  fc.constantFrom(LOCK, OS),
  () => fc.oneof({ weight: 8, arbitrary: fc.constant('LOCKED') }, lockWord),
  fc.oneof({ weight: 10, arbitrary: fc.constant('a') }, instance),
)

/** Lives a history through; `seen` is shown the node after each step, with our time in tenths of a second. */
function live(
  steps: readonly (readonly [number, Happening])[],
  seen: (node: Node, step: Happening, now: number, before: NodeState) => void,
): Node {
  const node = createNode()
  const pushes: Observation[] = []
  let tenths = 50_000
  for (const [pause, step] of steps) {
    tenths += pause
    const now = tenths / 10
    const before = node.state
    if (step.what === 'push') {
      const { kind, said, name, via } = step
      const push = reading(kind, said, { at: now - step.age / 10, received: now, instance: name }, via)
      pushes.push(push)
      node.merge(push)
    } else if (step.what === 'poll' || step.what === 'initial') {
      const { kind, said, queryTime, took, what: via } = step
      const asked = { sent: now - took, at: now - step.ahead / 10, received: now, queryTime, via }
      const pull = {
        ...answer(kind, [], asked),
        observations: said.map(([name, one]) => reading(kind, one, { ...asked, instance: name }, via)),
      }
      if (via === 'poll') node.poll([pull])
      else node.initial(pull)
    } else if (step.what === 'none') node.poll([none(step.kind, now)])
    else if (step.what === 'named') node.poll([answer(step.kind, [], { at: now, named: [step.name] })])
    else if (step.what === 'again') {
      const push = pushes[step.which % Math.max(1, pushes.length)]
      if (push !== undefined) node.merge(push)
    }
    seen(node, step, now, before)
  }
  return node
}

describe('whatever happens to a node', () => {
  test('its document is valid, survives JSON, and stays small', () => {
    fc.assert(
      fc.property(fc.oneof(history, mostlyLocked), (steps) => {
        const { state } = live(steps, () => {})
        expect(nodeState.parse(JSON.parse(JSON.stringify(state)))).toEqual(state)
        expect(state.clocks.length).toBeLessThanOrEqual(2 * 7)
        for (const clock of state.clocks) expect(clock.pushes.length).toBeLessThanOrEqual(8)
        expect(JSON.stringify(state).length).toBeLessThan(14 * 2500)
      }),
      { numRuns: 500 },
    )
  })

  test('a pull dates nothing, and a state has the time of a push or none', () => {
    fc.assert(
      fc.property(fc.oneof(history, mostlyLocked), (steps) => {
        const times = new Set<string>()
        const node = live(steps, ({ log, state }, step, now) => {
          if (step.what === 'push') times.add(at(now - step.age / 10))
          for (const { since } of state.clocks) if (since !== null) expect(times).toContain(since)
          for (const { via, at: time } of log) {
            if (via === 'poll' || via === 'initial') expect(time).toBeUndefined()
            if (time !== undefined) expect(times).toContain(time)
          }
        })
        expect(node.log.map(({ seq }) => seq)).toEqual(node.log.map((_, index) => index + 1))
      }),
      { numRuns: 500 },
    )
  })

  test('a clock becomes LOCKED only by a push or a pull that said so of it', () => {
    fc.assert(
      fc.property(fc.oneof(history, mostlyLocked), (steps) => {
        const said = new Set<string>()
        live(steps, (node, step, _now, before) => {
          if (step.what === 'push' && step.said === 'LOCKED') said.add(`${step.kind} ${step.name}`)
          const now = new Set<string>()
          if (step.what === 'push' && step.said === 'LOCKED') now.add(`${step.kind} ${step.name}`)
          if (step.what === 'poll' || step.what === 'initial')
            for (const [name, word] of step.said) if (word === 'LOCKED') now.add(`${step.kind} ${name}`)
          if (step.what === 'again') for (const clock of said) now.add(clock)
          for (const clock of node.state.clocks) {
            if (clock.state !== 'LOCKED') continue
            const old = before.clocks.find(
              (one) => one.kind === clock.kind && one.instance === clock.instance,
            )
            if (old?.state === 'LOCKED') continue
            // Of a clock that is contested no more, the newest push is the state: it may have been heard before.
            const released =
              old?.contested === true && !clock.contested && said.has(`${clock.kind} ${clock.instance}`)
            if (!released) expect(now).toContain(`${clock.kind} ${clock.instance}`)
          }
        })
      }),
      { numRuns: 500 },
    )
  })

  test('it is LOCKED only while every deciding clock is, each confirmed within 180 s or about to be retired', () => {
    let [asked, locked] = [0, 0]
    fc.assert(
      fc.property(mostlyLocked, (steps) => {
        live(steps, (node, _step, now) => {
          for (const later of [now, now + 100, now + 200]) {
            asked += 1
            if (node.overall(later) !== 'LOCKED') continue
            locked += 1
            const there = node.state.clocks.filter(
              ({ kind, retired }) => (kind === LOCK || kind === OS) && !retired,
            )
            // One that pulls name no more while they name another of its kind: stale, and soon retired.
            const isLeaving = ({ unnamed, confirmedAt }: (typeof there)[number]) =>
              unnamed !== undefined && confirmedAt <= at(later - 180)
            for (const { state } of there.filter(isLeaving))
              expect(['FREERUN', 'HOLDOVER']).not.toContain(state)
            const deciding = there.filter((clock) => !isLeaving(clock))
            expect(deciding.length).toBeGreaterThan(0)
            for (const clock of deciding) {
              expect(clock.state).toBe('LOCKED')
              expect(clock.confirmedAt > at(later - 180)).toBe(true)
            }
            for (const kind of [LOCK, OS]) {
              const absent = node.state.absent[kind]
              const known = deciding.some((clock) => clock.kind === kind)
              if (known) continue
              expect(there.some((clock) => clock.kind === kind)).toBe(false)
              expect(absent !== undefined && absent.since <= at(later - 180)).toBe(true)
              expect(absent !== undefined && absent.confirmedAt > at(later - 180)).toBe(true)
            }
          }
        })
      }),
      { numRuns: 500 },
    )
    // It would hold of nodes that are never LOCKED as well.
    expect(locked).toBeGreaterThan(asked / 20)
  })

  test('each step that changes what the node is told to be is in the log', () => {
    fc.assert(
      fc.property(fc.oneof(history, mostlyLocked), (steps) => {
        const node = live(steps, ({ state, log }) => {
          expect(log.findLast(({ type }) => type === 'overall')?.to ?? 'UNKNOWN').toBe(
            state.announced.overall,
          )
        })
        for (const { kind, instance: name, state } of node.state.clocks) {
          if (state === null || (kind === SYNC && state === 'UNKNOWN')) continue
          const own = node.log.filter((entry) => entry.kind === kind && entry.instance === name)
          expect(own.findLast(({ type }) => type === 'changed')?.to).toBe(state)
        }
      }),
      { numRuns: 500 },
    )
  })
})

/** A clock's true life: the word from each second on. Publishers tell it by pushes that may be late, lost or doubled. */
type Life = {
  readonly truth: readonly { readonly from: number; readonly word: string }[]
  readonly pushes: readonly { readonly index: number; readonly delays: readonly number[] }[]
  readonly polls: readonly { readonly sent: number; readonly thinks: number; readonly returns: number }[]
}

const END = 600
const tenth = (max: number) => fc.integer({ min: 0, max: max * 10 }).map((tenths) => tenths / 10)

const life: fc.Arbitrary<Life> = fc
  .uniqueArray(tenth(END), { minLength: 1, maxLength: 12 })
  .map((starts) => [...starts].sort((a, b) => a - b))
  .chain((starts) =>
    fc.tuple(fc.constant(starts), fc.array(lockWord, { minLength: starts.length, maxLength: starts.length })),
  )
  .map(([starts, words]) => starts.map((from, index) => ({ from, word: words[index] ?? 'UNKNOWN' })))
  .chain((truth) =>
    fc.record({
      truth: fc.constant(truth),
      // No delay is a push that is lost, two are one that comes twice.
      pushes: fc.tuple(
        ...truth.map((_, index) =>
          fc.record({
            index: fc.constant(index),
            delays: fc.array(fc.oneof(tenth(1), tenth(20)), { maxLength: 2 }),
          }),
        ),
      ),
      polls: fc.array(fc.record({ sent: tenth(END), thinks: tenth(1), returns: tenth(3) }), {
        maxLength: 12,
      }),
    }),
  )

/** A sum of tenths of a second that is one: a pull at the time of a transition must know of it. */
const plus = (...tenths: readonly number[]) => Math.round(tenths.reduce((sum, part) => sum + part) * 10) / 10

/** What is true at a second, and whether anything is yet. */
const truthAt = ({ truth }: Life, second: number) => truth.findLast(({ from }) => from <= second)?.word

/** All that reaches us, in the order in which it does; `heard` is shown each push and pull before it is merged. */
function tell(
  one: Life,
  kind: string,
  heard: (node: Node, told: { word: string; at: number; by: 'push' | 'pull' }) => void,
): Node {
  const pushes = one.pushes.flatMap(({ index, delays }) => {
    const { from, word } = one.truth[index] ?? { from: 0, word: 'UNKNOWN' }
    return delays.map((delay) => ({
      by: 'push' as const,
      word,
      at: from,
      received: plus(from, delay),
      sent: from,
    }))
  })
  const polls = one.polls.flatMap(({ sent, thinks, returns }) => {
    const asked = { sent, at: plus(sent, thinks), received: plus(sent, thinks, returns) }
    const word = truthAt(one, asked.at)
    return word === undefined ? [] : [{ by: 'pull' as const, word, ...asked }]
  })
  const node = createNode()
  for (const told of [...pushes, ...polls].sort((a, b) => a.received - b.received)) {
    if (told.by === 'push') node.push(kind, told.word, told)
    else node.poll([answer(kind, [told.word], told)])
    heard(node, told)
  }
  return node
}

describe('a publisher whose pushes are late, lost and doubled', () => {
  test.each([LOCK, OS, SYNC])('is known as it is after two polls in silence, of %s', (kind) => {
    fc.assert(
      fc.property(life, (one) => {
        const node = tell(one, kind, () => {})
        const word = truthAt(one, END) ?? 'UNKNOWN'
        for (const second of [END + 30, END + 40]) node.poll([answer(kind, [word], { at: second })])
        expect(node.clock(kind).state).toBe(word)
        expect(node.clock(kind).confirmedAt >= at(END - 60)).toBe(true)
        expect(node.state.counters.clockSteps).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  test('is not LOCKED once it told of FREERUN, unless a newer push or a later pull said LOCKED', () => {
    fc.assert(
      fc.property(life, (one) => {
        let locked = -1
        let freerun = -1
        tell(one, LOCK, (node, { word, at: second, by }) => {
          if (word === 'LOCKED') locked = Math.max(locked, second)
          if (word === 'FREERUN' && by === 'push') freerun = Math.max(freerun, second)
          if (node.clock(LOCK).state === 'LOCKED') expect(locked).toBeGreaterThanOrEqual(freerun)
        })
      }),
      { numRuns: 500 },
    )
  })

  test('is at once as bad as the newest pull that was asked after the newest push came in', () => {
    fc.assert(
      fc.property(life, (one) => {
        let newest = -1
        tell(one, LOCK, (node, { word, at: second, by }) => {
          if (by === 'pull' && second > newest)
            expect(rankOf(LOCK, node.clock(LOCK).state ?? '')).toBeLessThanOrEqual(rankOf(LOCK, word))
          newest = Math.max(newest, second)
        })
      }),
      { numRuns: 500 },
    )
  })

  test('whose pushes all come in at once, and which is polled, has missed nothing', () => {
    fc.assert(
      fc.property(life, (one) => {
        const prompt = { ...one, pushes: one.pushes.map((push) => ({ ...push, delays: [0] })) }
        const node = tell(prompt, LOCK, () => {})
        for (const second of [END + 30, END + 90]) {
          node.poll([answer(LOCK, [truthAt(one, END) ?? 'UNKNOWN'], { at: second })])
        }
        const { missed, late, clockSteps } = node.state.counters
        expect({ missed, late, clockSteps }).toEqual({ missed: 0, late: 0, clockSteps: 0 })
        expect(node.log.filter(({ type }) => type === 'changed').map(({ to }) => to)).toEqual(
          one.truth.map(({ word }) => word).filter((word, index, all) => word !== all[index - 1]),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('whose pushes are late by less than the polls are apart has them dated, none missed and none twice', () => {
    fc.assert(
      fc.property(life, (one) => {
        const late = {
          ...one,
          polls: one.polls.slice(0, 1),
          pushes: one.pushes.map((push) => ({ ...push, delays: [4] })),
        }
        const node = tell(late, LOCK, () => {})
        node.poll([answer(LOCK, [truthAt(one, END) ?? 'UNKNOWN'], { at: END + 60 })])
        expect(node.state.counters.missed).toBe(0)
        const dated = node.log
          .filter(({ at: time, type }) => time !== undefined && type !== 'overall')
          .map(({ at: time }) => time)
        expect(new Set(dated).size).toBe(dated.length)
      }),
      { numRuns: 500 },
    )
  })
})

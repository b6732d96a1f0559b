import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeBody } from '#shared/state/merge/body.ts'
import { createJournal } from '#shared/publishers/reconcile/journal.ts'
import { silentLog } from '#shared/log.ts'
import type { Observation } from '#shared/events/observation.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { mergePulls } from '#shared/state/merge/pull.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import { defaultSettings } from '#shared/state/merge/draft.ts'
import { createStore } from '#shared/state/store/store.ts'
import { answer, ms, NODE, reading } from '../builders.ts'

const LOCK = 'lock-state'
const WORDS = ['LOCKED', 'HOLDOVER', 'FREERUN'] as const

type Step =
  /** The clock takes another state; the push is answered so many seconds later. */
  | { readonly do: 'change'; readonly by: number; readonly delay: number }
  /** A subscription is made; its initial notification comes, and its answer, unless whoever asked is killed. */
  | {
      readonly do: 'create'
      readonly initialAfter: number
      readonly answerAfter: number
      readonly end: 'answered' | 'killed' | 'refused'
    }
  | { readonly do: 'poll' }

const MOMENTS = { change: 0.031, create: 0, poll: 0.023 }

const seconds = (most: number) => fc.integer({ min: 1, max: most * 10 }).map((tenths) => tenths / 10)
const steps = fc.array(
  fc.tuple(
    // Between two steps of the same life.
    fc.oneof(seconds(1), seconds(12)),
    fc.oneof<fc.Arbitrary<Step>[]>(
      fc.record({ do: fc.constant('change'), by: fc.constantFrom(1, 2), delay: seconds(3) }),
      fc.record({
        do: fc.constant('create'),
        initialAfter: seconds(1),
        answerAfter: seconds(1),
        end: fc.constantFrom('answered', 'answered', 'killed', 'refused'),
      }),
      fc.record({ do: fc.constant('poll') }),
    ),
  ),
  { minLength: 3, maxLength: 14 },
)

test('over any life of creates, initial notifications, pushes, polls and kills nothing that was answered 204 is missed', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (life) => {
      let now = ms(0)
      const store = createStore(createMemoryDriver(), { historyPerNode: 500, log: silentLog })
      const record = () =>
        createJournal(
          {
            store,
            clock: { now: () => now },
            overall: () => 'UNKNOWN',
            newIncarnation: () => 'made',
            refreshMs: 60_000,
          },
          NODE,
        )
      const receive = (observation: Observation) =>
        store.update(NODE, (current) =>
          mergeBody(
            current ?? emptyNodeState(NODE, 'made'),
            { observations: [observation], named: [], receivedAt: observation.receivedAt },
            defaultSettings,
            now,
          ),
        )
      let word = 0
      let polledAt = Number.NEGATIVE_INFINITY
      const acts: { readonly at: number; readonly run: () => Promise<unknown> }[] = []
      const act = (when: number, run: () => Promise<unknown>) => void acts.push({ at: when, run })
      const say = () => WORDS[word % WORDS.length] ?? 'LOCKED'
      let time = 0
      for (const [pause, step] of life) {
        time += pause
        // No two things happen at the very same moment.
        const begun = time + MOMENTS[step.do]
        if (step.do === 'change') {
          act(begun, async () => {
            word += step.by
            const said = say()
            act(begun + step.delay, () =>
              receive(reading(LOCK, said, { at: begun, received: begun + step.delay })),
            )
          })
        } else if (step.do === 'create') {
          const asking = record()
          act(begun, () => asking.pending(LOCK, true))
          if (step.end !== 'refused')
            act(begun + step.initialAfter, () =>
              receive(
                reading(LOCK, say(), { at: begun + step.initialAfter, received: begun + step.initialAfter }),
              ),
            )
          act(begun + step.initialAfter + step.answerAfter, async () => {
            if (step.end === 'killed') return
            asking.answered(LOCK, { sentInitial: step.end === 'answered' })
            await asking.flush()
          })
        } else {
          act(begun, async () => {
            // Polls are further apart than pushes are under way.
            if (begun - polledAt < 5) return
            polledAt = begun
            await poll(begun)
          })
        }
      }
      const poll = (when: number) =>
        store.update(NODE, (current) =>
          mergePulls(
            current ?? emptyNodeState(NODE, 'made'),
            [answer(LOCK, [say()], { at: when })],
            defaultSettings,
            { now: ms(when), poll: { startedAt: ms(when) } },
          ),
        )
      for (;;) {
        acts.sort((a, b) => a.at - b.at)
        const next = acts.shift()
        if (next === undefined) break
        now = ms(next.at)
        await next.run()
      }
      for (const after of [30, 60, 90]) {
        now = ms(time + after)
        await poll(time + after)
      }
      const log = await store.log(NODE, { after: 0, limit: 500 })
      expect(log.filter(({ type }) => type === 'missed')).toEqual([])
      const state = await store.read(NODE)
      expect(state?.clocks.map((clock) => clock.state) ?? []).toEqual([say()])
      await store.close()
    }),
    { numRuns: 1_000 },
  )
})

import { openForwarder } from '#shared/broker/open.ts'
import { ConfigurationError, type DiscoveryError, reasonOf } from '#shared/errors.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { Target } from '#shared/publishers/target.ts'
import { type Proof, withheldText } from '#shared/publishers/reconcile/proof.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { createPoller, type Polled } from './poll.ts'
import { createPollMetrics } from './metrics.ts'
import { readEvery, startRounds } from './every.ts'
import { createTickHandler } from './tick.ts'

export const poll: FunctionDefinition = {
  name: 'poll',
  summary: 'asks every publisher for CurrentState, to prove that nothing was missed',
  description: [
    'For each publisher: sees that our subscriptions are there and makes those anew that are not, pulls the state of every resource, merges it, and logs what was missed and what has become stale.',
    'First an empty POST shows that ingest takes our token. If it refuses it, all are pulled, no subscription is changed, and poll ends with 2; if nobody answers, nothing is deleted.',
    'With PUBLISHERS=kubernetes://<namespace> it finds the publishers by their Services at each run, marks nodes that are gone, and removes them after STATE_RETENTION_SECONDS.',
    'Run once, it ends by POLL_DEADLINE_SECONDS. Served, it runs on POST /tick and answers 202 after the run; a tick during a run starts no second one.',
    'With --every it also polls by itself: in rounds so many seconds apart it asks each publisher for the kinds that decide the overall state, and for what is suspect, contested or undated; each publisher is polled as a whole once a minute. Rounds never overlap; a tick during a round is answered 202.',
    'Exit codes: 0 all polled, 1 some publishers failed (named, with why), 2 configuration or usage.',
  ].join('\n'),
  flags: {
    every: {
      type: 'string',
      value: 'seconds',
      servedOnly: true,
      description:
        'With --serve: polls in rounds so many seconds apart, from 1 to a third of STALE_AFTER_SECONDS.',
    },
  },
  examples: [
    { command: 'ptp-watch poll', does: 'polls the fleet once' },
    { command: 'ptp-watch poll --serve', does: 'polls at every POST /tick' },
    {
      command: 'STALE_AFTER_SECONDS=30 ptp-watch poll --serve --every 5',
      does: 'polls by itself, every 5 seconds',
    },
  ],
  environment: ['State', 'Publishers', 'Publisher access', 'Callback', 'Merge', 'Broker', 'Work'],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: true, run: true },

  async open(config, host, flags = {}) {
    const { callbackUrl, merge: settings, pollDeadlineMs } = config
    const everyMs =
      typeof flags.every === 'string' ? readEvery(flags.every, settings.staleAfterMs) : undefined
    if (callbackUrl === undefined) throw new ConfigurationError(['CALLBACK_URL must be set'])
    const { clock, log, metrics, random, newId } = host
    const store = await openStore(config, { log, random })
    const forwarder = await openForwarder(config, { store, clock, log, metrics, random })
    const overall = (state: Parameters<typeof conditionOf>[0]) =>
      conditionOf(state, clock.now(), settings).overall
    const { registry, keeper, find, prove, close } = await openPublishers(config, callbackUrl, {
      ...host,
      store: forwarder.store,
      overall,
    })
    const counted = createPollMetrics(metrics)
    const concurrency = config.pollConcurrency
    const poller = createPoller({
      registry,
      keeper,
      store: forwarder.store,
      clock,
      log,
      metrics: counted,
      newId,
      settings,
      concurrency,
    })

    /** `onDone` is told how many of how many are done, each time one is. */
    const run = async (
      signal: AbortSignal,
      { quiet = false, onDone }: { quiet?: boolean; onDone?: (done: number, total: number) => void } = {},
    ): Promise<Run> => {
      const startedAt = clock.now()
      let publishers = 0
      counted.running.set({}, 1)
      try {
        return await withDeadline(pollDeadlineMs, signal, async (ended) => {
          const { targets, unnamed, failure } = await find({ signal: ended, marks: true })
          publishers = targets.length
          const proof = await proved(prove(targets, ended))
          let done = 0
          const polled = await poller.poll(targets, {
            signal: ended,
            proof: proof.outcome,
            quiet,
            onDone: () => onDone?.(++done, targets.length),
          })
          // Each poll was shown the document anew, and with it what others could not send.
          await forwarder.settle(ended)
          const withheld = polled.reduce((sum, one) => sum + (one.withheld ?? 0), 0)
          if (withheld > 0 && proof.outcome !== 'refused') log.warn(withheldText(withheld, proof))
          const nameless = unnamed.map(({ target, reason }) => ({ node: target.node, problems: [reason] }))
          const refusal = proof.outcome === 'refused' ? proof.error : undefined
          return { polled: [...polled, ...nameless], failure, refusal }
        })
      } finally {
        counted.running.set({}, 0)
        log.info('poll', { publishers, durationMs: clock.now() - startedAt })
      }
    }

    let busy = false
    /** One run at a time in this process. False, and nothing is done, while another one is under way. */
    const alone = async (work: () => Promise<void>): Promise<boolean> => {
      if (busy) return false
      busy = true
      try {
        await work()
        return true
      } finally {
        busy = false
      }
    }

    /** What was found last, and when it is to be looked for again; looked for beside the rounds, which it may outlast. */
    let targets: readonly Target[] | undefined
    let finding: Promise<void> | undefined
    let proof: Awaited<ReturnType<typeof proved>> | undefined
    let findAt = 0
    const findAgain = async (signal: AbortSignal) => {
      findAt = performance.now() + FIND_EVERY_MS
      try {
        const found = await find({ signal, marks: true })
        const before = proof
        proof = await proved(prove(found.targets, signal))
        // Once, and again when it has become right in between.
        if (proof.outcome === 'refused' && before?.outcome !== 'refused') log.error(proof.error.message)
        targets = found.targets
        if (found.failure !== undefined) findAt = 0
      } catch (error) {
        findAt = 0
        if (!signal.aborted) log.error('publishers could not be listed: retried', { reason: reasonOf(error) })
      }
      finding = undefined
    }

    let isWithheldTold = false
    /** Once, and again when our callback has answered in between. */
    const tellWithheld = (polled: readonly Polled[]) => {
      if (proof === undefined || proof.outcome === 'refused') return
      const withheld = polled.reduce((sum, one) => sum + (one.withheld ?? 0), 0)
      if (withheld > 0 && !isWithheldTold) log.warn(withheldText(withheld, proof))
      isWithheldTold = proof.outcome !== 'proven' && (isWithheldTold || withheld > 0)
    }

    /** However many publishers are silent, the others are asked again before they would be stale. */
    const roundDeadlineMs = Math.min(pollDeadlineMs, Math.max(everyMs ?? 0, settings.staleAfterMs / 2))

    const round = (signal: AbortSignal, everyMs: number) =>
      alone(async () => {
        counted.running.set({}, 1)
        if (finding === undefined && performance.now() >= findAt) finding = findAgain(signal)
        try {
          if (targets === undefined) await finding
          // What waits for the sink is sent beside the rounds: this process stays.
          const polled = await withDeadline(roundDeadlineMs, signal, (ended) =>
            poller.round(targets ?? [], {
              ...{ signal: ended, everyMs, random },
              ...(proof !== undefined && { proof: proof.outcome }),
            }),
          )
          tellWithheld(polled)
        } finally {
          counted.running.set({}, 0)
        }
      })

    const rounds =
      everyMs === undefined
        ? undefined
        : startRounds({ log, metrics: counted, random }, everyMs, (signal) => round(signal, everyMs))

    return {
      handle: createTickHandler(async (signal) => {
        await alone(async () => {
          const { failure, refusal } = await run(signal)
          if (failure !== undefined) throw failure
          if (refusal !== undefined) throw refusal
        })
      }),
      async run(_flags, { signal, terminal }) {
        // Each run is a process of its own, for which every problem would be new: they are printed at its end.
        const { polled, failure, refusal } = await run(signal, {
          quiet: true,
          onDone: (done, total) => {
            if (terminal.interactive) terminal.err(`\r\u001b[2Kpolling ${done}/${total}`)
          },
        })
        if (terminal.interactive) terminal.err('\r\u001b[2K')
        const failed = polled.filter(({ problems }) => problems.length > 0)
        if (failure !== undefined) terminal.err(`failed: ${failure.message}\n`)
        for (const { node, problems } of failed) {
          for (const problem of problems) terminal.err(`failed: ${node}: ${problem}\n`)
        }
        terminal.out(`${polled.length - failed.length} of ${polled.length} publishers polled\n`)
        if (refusal !== undefined) throw refusal
        return failed.length === 0 && failure === undefined ? 0 : 1
      },
      ping: () => store.ping(),
      async close() {
        await rounds?.close()
        await finding
        await close()
        await forwarder.close()
        await store.close()
      },
    }
  },
}

/** How often discovery looks for publishers where rounds are seconds apart. */
const FIND_EVERY_MS = 60_000

type Run = {
  readonly polled: readonly Polled[]
  readonly failure: DiscoveryError | undefined
  /** Ingest refused our token: all were pulled, and no subscription was changed. */
  readonly refusal: ConfigurationError | undefined
}

/** What a wrong token breaks is subscriptions: pulls go on without it. */
function proved(
  proof: Promise<Proof>,
): Promise<Proof | { readonly outcome: 'refused'; readonly error: ConfigurationError }> {
  return proof.catch((error: unknown) => {
    if (!(error instanceof ConfigurationError)) throw error
    return { outcome: 'refused', error }
  })
}

/** Runs `work` with a signal that is aborted by `signal`, or after `ms`. */
async function withDeadline<T>(
  ms: number,
  signal: AbortSignal,
  work: (ended: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), ms)
  try {
    return await work(AbortSignal.any([signal, over.signal]))
  } finally {
    clearTimeout(timer)
    // Where it threw, some of it may still be under way.
    over.abort()
  }
}

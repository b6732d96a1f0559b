import { openForwarder } from '#shared/broker/open.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import { withheldText } from '#shared/publishers/reconcile/proof.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { createTickHandler } from '#shared/runtime/tick.ts'
import { openStore } from '#shared/state/store/open.ts'
import { readEvery, startRounds } from './every.ts'
import { createPollMetrics } from './metrics.ts'
import { createPoller } from './poll.ts'

export const poll: FunctionDefinition = {
  name: 'poll',
  summary: 'pulls CurrentState from every publisher, to prove that nothing was missed',
  description: [
    'For each publisher: recreates missing subscriptions of ours, pulls the state of every resource, merges it, and logs what was missed and what has become stale.',
    'First an empty POST checks that ingest accepts our token. If ingest rejects it, all publishers are still pulled, but no subscription is changed, and poll exits with 2. If nobody answers, nothing is deleted.',
    'With PUBLISHERS=kubernetes://<namespace> each run finds the publishers by their Services, marks nodes that are gone, and removes them after STATE_RETENTION_SECONDS.',
    'A run takes at most POLL_DEADLINE_SECONDS. Served, it runs on POST /tick and answers 202 after the run; a tick during a run does not start another.',
    'With --every it also polls by itself, in rounds that many seconds apart: it pulls the kinds that decide the overall state, and clocks that are suspect, contested or undated; each publisher gets a full poll once a minute. Rounds never overlap; a tick during a round is answered 202.',
    'Exit codes: 0 all polled, 1 some publishers failed (named, with the reason), 2 configuration or usage.',
  ].join('\n'),
  flags: {
    every: {
      value: 'seconds',
      servedOnly: true,
      description:
        'With --serve: polls in rounds this many seconds apart, from 1 to a third of STALE_AFTER_SECONDS.',
    },
  },
  examples: {
    'ptp-watch poll': 'polls the fleet once',
    'ptp-watch poll --serve': 'polls at every POST /tick',
    'STALE_AFTER_SECONDS=30 ptp-watch poll --serve --every 5': 'polls by itself, every 5 seconds',
  },
  environment: ['State', 'Publishers', 'Publisher access', 'Callback', 'Merge', 'Broker', 'Work'],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: true, run: true },

  async open(config, host, flags = {}) {
    const { merge: settings, pollDeadlineMs, pollConcurrency: concurrency } = config
    const everyMs =
      typeof flags.every === 'string' ? readEvery(flags.every, settings.staleAfterMs) : undefined
    const { clock, log, random, newId } = host
    const metrics = createPollMetrics(host.metrics)
    const opened = await openStore(config, { log, random })
    const forwarder = await openForwarder(config, { ...host, store: opened })
    const { store } = forwarder
    const publishers = await openPublishers(config, { ...host, store })
    const { registry, reconciler, find, prove } = publishers
    const poller = createPoller({
      ...{ registry, reconciler, store, clock, log, metrics, newId, settings, concurrency },
    })

    let isBusy = false
    /** One run or round at a time per process. False if another is under way; then nothing is done. */
    const alone = async (work: () => Promise<void>): Promise<boolean> => {
      if (isBusy) return false
      isBusy = true
      metrics.running.set({}, 1)
      try {
        await work()
        return true
      } finally {
        isBusy = false
        metrics.running.set({}, 0)
      }
    }

    /** `onDone`: called for each publisher, by a caller that prints problems itself, so they are not logged. */
    const run = async (signal: AbortSignal, onDone?: (done: number, total: number) => void) => {
      const startedAt = clock.now()
      const ended = AbortSignal.any([signal, AbortSignal.timeout(pollDeadlineMs)])
      let found = 0
      try {
        const { targets, unnamed, failure } = await find({ signal: ended, marks: true })
        found = targets.length
        const proof = await prove(targets, ended)
        let done = 0
        const polled = await poller.poll(targets, {
          signal: ended,
          proof: proof.outcome,
          quiet: onDone !== undefined,
          onDone: () => onDone?.(++done, targets.length),
        })
        // The poll has also found entries that other processes could not send.
        await forwarder.settle(ended)
        const withheld = withheldText(polled, proof)
        if (withheld !== undefined) log.warn(withheld)
        const nameless = unnamed.map(({ target, reason }) => ({ node: target.node, problems: [reason] }))
        // Ingest rejects our token: everything was pulled, but no subscription was changed.
        const refusal = proof.outcome === 'refused' ? proof.error : undefined
        return { polled: [...polled, ...nameless], failure, refusal }
      } finally {
        log.info('poll', { publishers: found, durationMs: clock.now() - startedAt })
      }
    }

    // However many publishers are silent, the others are polled again before they would be stale.
    const deadlineMs = Math.ceil(Math.min(pollDeadlineMs, Math.max(everyMs ?? 0, settings.staleAfterMs / 2)))
    const rounds =
      everyMs === undefined
        ? undefined
        : startRounds({ publishers, poller, log, metrics, random, alone }, { everyMs, deadlineMs })

    return {
      handle: createTickHandler(async (signal) => {
        await alone(async () => {
          const { failure, refusal } = await run(signal)
          if (failure !== undefined) throw failure
          if (refusal !== undefined) throw refusal
        })
      }),
      async run(_flags, { signal, terminal }) {
        // To a process that runs once every problem is new, so they are printed at its end.
        const { polled, failure, refusal } = await run(signal, (done, total) => {
          if (terminal.interactive) terminal.err(`\r\u001b[2Kpolling ${done}/${total}`)
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
      ping: () => opened.ping(),
      async close() {
        await rounds?.close()
        await publishers.close()
        await forwarder.close()
        await opened.close()
      },
    }
  },
}

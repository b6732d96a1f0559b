import { openForwarder } from '#shared/broker/open.ts'
import { ConfigurationError } from '#shared/errors.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import { conditionOf } from '#shared/state/merge/overall.ts'
import { type Mode, type Progress, subscribeAll } from './run.ts'
import { createHushable } from './hushable.ts'
import { createProgress, printOutcome } from './print.ts'
import { createSubscribeHandler } from './serve.ts'

export const subscribe: FunctionDefinition = {
  name: 'subscribe',
  summary: 'creates, repairs and removes our subscriptions at every publisher',
  description: [
    'Creates at each publisher what is missing of our subscriptions, adopts what is there, replaces those with an old token, and removes those of ours that are not wanted. Subscriptions of others are never touched. It can be run as often as one likes.',
    'First an empty POST shows that ingest takes our token. If it refuses it, nothing is changed; if nobody answers, nothing is deleted.',
    'Ours are those whose endpoint lies under CALLBACK_URL/event. Publishers that are still starting are tried again until SUBSCRIBE_DEADLINE_SECONDS.',
    'With PUBLISHERS=kubernetes://<namespace> it finds the publishers by their Services, as poll does.',
    'Served, it runs on POST / and answers 202, or 500 with what failed.',
    'Exit codes: 0 all done, 1 some publishers failed (named, with why), 2 configuration or usage.',
  ].join('\n'),
  flags: {
    'dry-run': { type: 'boolean', description: 'Prints what would be done, and changes nothing.' },
    remove: {
      type: 'boolean',
      description: "Deletes PTP Watch's subscriptions. Stop scheduled polls first, or they are recreated.",
    },
  },
  examples: [
    { command: 'ptp-watch subscribe --dry-run', does: 'the plan for each publisher' },
    { command: 'ptp-watch subscribe', does: 'subscribes' },
    { command: 'ptp-watch subscribe --remove', does: 'deletes all of ours; stop scheduled polls first' },
  ],
  environment: ['State', 'Publishers', 'Publisher access', 'Callback', 'Merge', 'Broker', 'Work'],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: true, run: true },

  async open(config, host) {
    const { callbackUrl, merge } = config
    if (callbackUrl === undefined) throw new ConfigurationError(['CALLBACK_URL must be set'])
    const { clock, metrics, random, newId } = host
    const { log, hush } = createHushable(host.log)
    const store = await openStore(config, { log, random })
    const forwarder = await openForwarder(config, { store, clock, log, metrics, random })
    const { keeper, find, prove, close } = await openPublishers(config, callbackUrl, {
      store: forwarder.store,
      clock,
      log,
      metrics,
      random,
      newId,
      overall: (state) => conditionOf(state, clock.now(), merge).overall,
    })
    const deps = {
      keeper,
      concurrency: config.pollConcurrency,
      deadlineMs: config.subscribeDeadlineMs,
      clock,
      random,
    }
    const quiet = { settled() {}, waiting() {} }

    const run = async (mode: Mode, progress: Progress, signal: AbortSignal) => {
      const found = await find({ signal, marks: mode === 'keep' })
      // Those whose node is not known yet are asked for it anew at each try.
      const targets = [...found.targets, ...found.unnamed.map(({ target }) => target)]
      const ask = (ended?: AbortSignal) => prove(found.targets, ended)
      const done = await subscribeAll({ ...deps, targets, prove: ask }, mode, progress, signal)
      return { ...done, failure: found.failure }
    }

    return {
      handle: createSubscribeHandler(async (signal) => {
        const { results, withheld, failure } = await run('keep', quiet, signal)
        if (failure !== undefined) throw failure
        if (withheld !== undefined) log.warn(withheld)
        return results
      }),
      async run(flags, { signal, terminal }) {
        const mode = modeOf(flags.remove === true, flags['dry-run'] === true)
        // A line of progress and a report tell people more than log lines in between.
        if (terminal.interactive && !log.on('debug')) hush()
        const progress = createProgress(terminal, mode)
        const { results, withheld, failure } = await run(mode, progress, signal).finally(() => progress.end())
        if (failure !== undefined) terminal.err(`failed: ${failure.message}\n`)
        printOutcome(terminal, results, mode)
        if (withheld !== undefined) terminal.err(`failed: ${withheld}\n`)
        return failure === undefined &&
          withheld === undefined &&
          results.every(({ outcome }) => outcome !== 'failed')
          ? 0
          : 1
      },
      ping: () => store.ping(),
      async close() {
        await close()
        await forwarder.close()
        await store.close()
      },
    }
  },
}

function modeOf(remove: boolean, dryRun: boolean): Mode {
  if (remove) return dryRun ? 'plan-removal' : 'remove'
  return dryRun ? 'plan' : 'keep'
}

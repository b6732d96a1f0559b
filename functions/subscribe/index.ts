import { openForwarder } from '#shared/broker/open.ts'
import type { Log } from '#shared/log.ts'
import { openPublishers } from '#shared/publishers/open.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import { openStore } from '#shared/state/store/open.ts'
import { createSubscribeHandler, subscribeAll } from './run.ts'
import { CLEAR_LINE, createProgress, printOutcome } from './print.ts'

export const subscribe: FunctionDefinition = {
  name: 'subscribe',
  summary: 'creates, repairs and removes our subscriptions at every publisher',
  description: [
    'At each publisher: creates missing subscriptions, adopts existing ones, replaces those with an old token, and removes those of ours that are no longer wanted. Foreign subscriptions are never touched. Running it again is safe.',
    'First an empty POST checks that ingest accepts our token. If ingest rejects it, nothing is changed; if nobody answers, nothing is deleted.',
    'A subscription is ours if its endpoint is under CALLBACK_URL/event. Publishers that are still starting are retried for SUBSCRIBE_DEADLINE_SECONDS.',
    'With PUBLISHERS=kubernetes://<namespace> it finds publishers by their Services, as poll does.',
    'Served, it runs on POST / and answers 202, or 500 with what failed.',
    'Exit codes: 0 all done, 1 some publishers failed (named, with the reason), 2 configuration or usage.',
  ].join('\n'),
  flags: {
    'dry-run': { description: 'Prints what would be done, and changes nothing.' },
    remove: {
      description: "Deletes PTP Watch's subscriptions. Stop scheduled polls first, or they are recreated.",
    },
  },
  examples: {
    'ptp-watch subscribe --dry-run': 'the plan for each publisher',
    'ptp-watch subscribe': 'subscribes',
    'ptp-watch subscribe --remove': 'deletes all of ours; stop scheduled polls first',
  },
  environment: ['State', 'Publishers', 'Publisher access', 'Callback', 'Merge', 'Broker', 'Work'],
  required: ['PUBLISHERS', 'CALLBACK_URL'],
  modes: { serve: true, run: true },

  async open(config, host) {
    // On a terminal, a progress line and a final report are more useful than log lines.
    let isMuted = false
    const unlessMuted = (level: 'warn' | 'info' | 'debug'): Log['info'] => {
      return (message, fields) => (isMuted ? undefined : host.log[level](message, fields))
    }
    const [warn, info, debug] = [unlessMuted('warn'), unlessMuted('info'), unlessMuted('debug')]
    const log: Log = { ...host.log, warn, info, debug }
    const opened = await openStore(config, { ...host, log })
    const forwarder = await openForwarder(config, { ...host, log, store: opened })
    const publishers = await openPublishers(config, { ...host, log, store: forwarder.store })
    const deps = { ...publishers, ...host, ...config }

    return {
      handle: createSubscribeHandler(async (signal) => {
        const { results, withheld, failure } = await subscribeAll(deps, { signal })
        if (failure !== undefined) throw failure
        if (withheld !== undefined) log.warn(withheld)
        return results
      }),
      async run(flags, { signal, terminal }) {
        const mode = { remove: flags.remove === true, dryRun: flags['dry-run'] === true }
        isMuted = terminal.interactive && !host.log.on('debug')
        const subscribing = subscribeAll(deps, { ...mode, tell: createProgress(terminal, mode), signal })
        const clear = () => terminal.interactive && terminal.err(CLEAR_LINE)
        return printOutcome(terminal, await subscribing.finally(clear), mode)
      },
      ping: () => opened.ping(),
      async close() {
        await publishers.close()
        await forwarder.close()
        await opened.close()
      },
    }
  },
}

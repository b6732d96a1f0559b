import type { FunctionDefinition, Terminal } from '#shared/runtime/function.ts'
import { shownStateUrl } from '#shared/config/state-url.ts'
import { openStore } from '#shared/state/store/open.ts'
import { type Forgotten, forgetNode } from './run.ts'

export const forget: FunctionDefinition = {
  name: 'forget',
  summary: 'removes nodes from the store, with their state and log',
  description: [
    'For nodes that are gone, or were listed under a wrong name. Removes the document and the log of each node, for good; publishers are not asked, and nothing is unsubscribed. A node that changes while it is being removed is left as it is.',
    'A node comes back with the next poll if PUBLISHERS still lists it or discovery finds it, and with the next event if its publisher still holds our subscription. So take it out of PUBLISHERS first; while it is listed, ptp-watch subscribe --remove deletes its subscriptions.',
    'Nodes that are no longer listed or found are removed without this after STATE_RETENTION_SECONDS.',
    'Exit codes: 0 all removed, 1 some were not (unknown to the store, changed meanwhile, or the store failed: each is named, with why), 2 configuration or usage.',
  ].join('\n'),
  operands: '<node> [<node> ...]',
  flags: {},
  examples: [
    { command: 'ptp-watch forget worker-1.example.com', does: 'removes one node' },
    {
      command: 'ptp-watch forget $(ptp-watch status --name old-site -o name)',
      does: 'removes all nodes with this in their name',
    },
  ],
  environment: ['State'],
  required: [],
  modes: { serve: false, run: true },
  async open(config, { log, random }) {
    const { stateUrl } = config
    // Nothing can be removed from a store that is not there, and none is made by looking.
    const store = await openStore(config, { log, random }, { create: false })
    return {
      async run(_flags, { signal, terminal, operands = [] }) {
        let failed = 0
        for (const node of new Set(operands)) {
          if (signal.aborted) {
            terminal.err(`failed: ${node}: stopped before it was removed\n`)
            failed += 1
            continue
          }
          const forgotten = await forgetNode(store, node)
          print(terminal, forgotten, shownStateUrl(stateUrl))
          if (forgotten.outcome !== 'removed') failed += 1
        }
        return failed === 0 ? 0 : 1
      },
      ping: () => store.ping(),
      close: () => store.close(),
    }
  },
}

function print({ out, err }: Terminal, forgotten: Forgotten, store: string): void {
  const { node } = forgotten
  switch (forgotten.outcome) {
    case 'removed': {
      const { state, unsent } = forgotten
      out(`removed ${node}: its state and its log\n`)
      if (unsent > 0) err(`warning: ${node}: ${unsent} log entries had not reached the sink, and are lost\n`)
      const held = state.subscriptions.length
      if (held > 0)
        err(
          `note: ${node}: ${state.publisher?.url ?? 'its publisher'} held ${held} of our subscriptions; the next event, or a poll while PUBLISHERS lists it, brings the node back\n`,
        )
      return
    }
    case 'unknown':
      err(
        `failed: ${node}: unknown: it is not in the store ${store} (ptp-watch status -o name lists the nodes)\n`,
      )
      return
    case 'changed':
      err(
        `failed: ${node}: not removed: it changed meanwhile, so it is still polled or sends events; take it out of PUBLISHERS, then retry\n`,
      )
      return
    case 'failed':
      err(`failed: ${node}: ${forgotten.reason}\n`)
  }
}

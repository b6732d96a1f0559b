import { isDeepStrictEqual } from 'node:util'
import { shownStateUrl } from '#shared/config/state-url.ts'
import { reasonOf, StoreError } from '#shared/errors.ts'
import type { FunctionDefinition } from '#shared/runtime/function.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'
import { openStore } from '#shared/state/store/open.ts'
import { damagedState, type NodeState } from '#shared/state/document.ts'
import type { Store } from '#shared/state/store/store.ts'

export const forget: FunctionDefinition = {
  name: 'forget',
  summary: 'removes nodes from the store, with their state and log',
  description: [
    'For nodes that are gone, or were listed under a wrong name. Permanently removes the document and log of each node; publishers are not contacted, and nothing is unsubscribed. A node that changes while it is being removed is kept.',
    'A node comes back with the next poll if PUBLISHERS still lists it or discovery finds it, and with the next event if its publisher still holds our subscription. So take it out of PUBLISHERS first; while it is listed, ptp-watch subscribe --remove deletes its subscriptions.',
    'Nodes that are no longer listed or found are removed automatically after STATE_RETENTION_SECONDS.',
    'Exit codes: 0 all removed, 1 some were not (unknown to the store, changed meanwhile, or the store failed; each is named, with the reason), 2 configuration or usage.',
  ].join('\n'),
  operands: '<node> [<node> ...]',
  flags: {},
  examples: {
    'ptp-watch forget worker-1.example.com': 'removes one node',
    'ptp-watch forget $(ptp-watch status --name old-site -o name)':
      'removes all nodes with this in their name',
  },
  environment: ['State'],
  required: [],
  modes: { serve: false, run: true },
  async open(config, host) {
    // Nothing can be removed from a store that does not exist, so none is created.
    const store = await openStore(config, host, { create: false })
    return {
      async run(_flags, { signal, terminal, operands = [] }) {
        const remove = (node: string) => forgetNode(store, node, terminal, shownStateUrl(config.stateUrl))
        let code = 0
        for (const node of new Set(operands)) {
          const kept = signal.aborted ? 'stopped before it was removed' : await remove(node)
          if (kept === undefined) continue
          terminal.err(`failed: ${node}: ${kept}\n`)
          code = 1
        }
        return code
      },
      close: () => store.close(),
    }
  },
}

/** Removes a node unless something arrives meanwhile. Returns why it was not removed; undefined if it was. */
export async function forgetNode(
  store: Pick<Store, 'read' | 'remove'>,
  node: string,
  { out, err }: Pick<Terminal, 'out' | 'err'>,
  storeUrl: string,
): Promise<string | undefined> {
  try {
    const state = await store.read(node).catch((error: unknown) => damagedState(node, error))
    let hasChanged = false
    const isUnchanged = (current: NodeState) => {
      hasChanged = !isDeepStrictEqual(current, state)
      return !hasChanged
    }
    const isRemoved = await store.remove(node, state?.damaged === undefined ? isUnchanged : undefined)
    if (hasChanged)
      return 'not removed: it changed meanwhile, so it is still polled or sends events; take it out of PUBLISHERS, then retry'
    if (state === undefined || !isRemoved)
      return `unknown: it is not in the store ${storeUrl} (ptp-watch status -o name lists the nodes)`
    out(`removed ${node}: its state and its log\n`)
    if (state.damaged !== undefined) err(`warning: ${node}: ${state.damaged}\n`)
    const unsent = state.seq - (state.forwarded ?? state.seq)
    if (unsent > 0) err(`warning: ${node}: ${unsent} log entries had not reached the sink, and are lost\n`)
    const held = state.subscriptions.length
    const note = `${state.publisher?.url ?? 'its publisher'} held ${held} of our subscriptions; the next event, or a poll while PUBLISHERS lists it, brings the node back`
    if (held > 0) err(`note: ${node}: ${note}\n`)
    return undefined
  } catch (error) {
    if (error instanceof StoreError) return reasonOf(error)
    throw error
  }
}

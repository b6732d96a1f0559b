import { printStatus, type Source, STATUS_FLAGS } from '../terminal/print.ts'
import { escaped } from '../terminal/text.ts'
import type { Config } from '#shared/config/index.ts'
import { findAccess } from '#shared/kubernetes/access.ts'
import { createKubernetesClient } from '#shared/kubernetes/client.ts'
import type { Catalogue } from '#shared/runtime/cli.ts'
import {
  type Flags,
  type FunctionDefinition,
  type Host,
  type RunContext,
  UsageError,
} from '#shared/runtime/function.ts'
import type { Program } from '#shared/runtime/help.ts'
import { findInstall } from './install.ts'
import { openLocal } from './local.ts'
import { nodeText } from './print.ts'
import { openRemote } from './remote.ts'

export const KUBECTL_PTP: Program = {
  name: 'kubectl ptp',
  about: 'kubectl ptp shows what PTP Watch knows of the clocks of a cluster.',
  picks: 'command',
  notes: `It takes the kubeconfig as kubectl does, and finds PTP Watch in the cluster by itself. State in ConfigMaps
is read directly (role view); state in Redis by a pod of status through the API server (role edit).`,
}

/** The flags that every plug-in of kubectl takes. */
const KUBECTL_FLAGS: FunctionDefinition['flags'] = {
  kubeconfig: { value: 'path', description: 'Kubeconfig to use instead of KUBECONFIG.' },
  context: { value: 'name', description: 'Context to use instead of the current one.' },
  namespace: {
    short: 'n',
    value: 'name',
    description: 'Namespace of PTP Watch. Default: that of the context, ptp-watch, or where it is.',
  },
}

type Show = (fleet: Source, flags: Flags, context: RunContext) => Promise<number>

const status: FunctionDefinition = {
  ...basedOn(async (fleet, flags, context) => printStatus(fleet, flags, context)),
  name: 'status',
  summary: 'shows the state of every node',
  description: [
    'Prints one line for each node, worst first, as `ptp-watch status` does.',
    'Exit codes: 0 printed, 1 the cluster could not be asked, 2 kubeconfig or usage; with --exit-code 3 unless --name and --label select at least one node and all of them are LOCKED.',
  ].join('\n'),
  flags: { ...STATUS_FLAGS, ...KUBECTL_FLAGS },
  examples: {
    'kubectl ptp status': 'the fleet as a table',
    'kubectl ptp status --context site-a --overall FREERUN -o name': 'who free-runs in a cluster',
  },
}

const node: FunctionDefinition = {
  ...basedOn(async (fleet, flags, { terminal, operands: [name = '', ...more] = [] }) => {
    if (more.length > 0) throw new UsageError('kubectl ptp node takes one node')
    const view = await fleet.node(name)
    if (view === undefined) {
      terminal.err(`failed: ${name}: unknown to PTP Watch (kubectl ptp status -o name lists the nodes)\n`)
      return 1
    }
    terminal.out(
      flags.json === true ? escaped(`${JSON.stringify(view, null, 2)}\n`) : nodeText(view, fleet.now()),
    )
    return 0
  }),
  name: 'node',
  summary: 'shows one node: its state and why, its clocks, what happened last',
  description: [
    'Prints a node with each of its clocks and the newest 20 entries of its log; --json prints all that is known.',
    'Exit codes: 0 printed, 1 there is no such node or the cluster could not be asked, 2 kubeconfig or usage.',
  ].join('\n'),
  operands: '<node>',
  flags: {
    json: { description: 'Everything, with the newest 100 entries of the log, as JSON.' },
    ...KUBECTL_FLAGS,
  },
  examples: { 'kubectl ptp node worker-1.example.com': 'why a node is not LOCKED' },
}

export const kubectl: Catalogue = { status: async () => status, node: async () => node }

function basedOn(show: Show): Pick<FunctionDefinition, 'environment' | 'required' | 'modes' | 'open'> {
  return {
    environment: [],
    required: [],
    modes: { serve: false, run: true },
    open: async (config, host) => ({
      run: (flags, context) => withFleet(config, host, flags, (fleet) => show(fleet, flags, context)),
      close: async () => {},
    }),
  }
}

async function withFleet(config: Config, host: Host, flags: Flags, show: (fleet: Source) => Promise<number>) {
  const textOf = (name: string) => (typeof flags[name] === 'string' ? flags[name] : undefined)
  const kubernetes = {
    ...config.stateOptions.kubernetes,
    ...(flags.kubeconfig !== undefined && { kubeconfig: textOf('kubeconfig') }),
    context: textOf('context'),
    exec: true,
  }
  const access = await findAccess(kubernetes, host)
  // A person waits, over any kind of network.
  const client = createKubernetesClient(access, host, { attemptMs: 10_000, budgetMs: 15_000 })
  try {
    const current = await access.namespace()
    const install = await findInstall(client, { namespace: textOf('namespace'), current })
    if (!install.settings.STATE_URL?.startsWith('configmap:')) {
      return await show(await openRemote(client, install.namespace))
    }
    const { close, ...fleet } = await openLocal(install, access, host)
    return await show(fleet).finally(close)
  } finally {
    await client.close()
  }
}

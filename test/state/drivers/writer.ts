// `writer.ts <url> <node> <name> <count>`: says that it is ready, waits for a line, makes that many updates of the
// node, and prints the number of each once it is acknowledged.
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { readConfig } from '#shared/config/index.ts'
import { silentLog } from '#shared/log.ts'
import { emptyNodeState } from '#shared/state/document.ts'
import { createStore } from '#shared/state/store/store.ts'
import { openPatiently } from '../../support/patient.ts'

const [url = '', node = '', name = '', count = ''] = process.argv.slice(2)
const { stateOptions } = await readConfig({ KUBECONFIG: process.env.KUBECONFIG })
const store = createStore(await openPatiently(url, stateOptions), { historyPerNode: 100_000, log: silentLog })
say('ready')
await once(process.stdin, 'data')
process.stdin.pause()
for (let number = 1; number <= Number(count); number += 1) {
  await store.update(node, (current) => ({
    state: current ?? emptyNodeState(node, name),
    entries: [{ type: 'changed', to: `${name}:${number}`, via: 'push', overall: 'LOCKED' }],
    counters: { received: 1 },
    result: undefined,
  }))
  say(String(number))
}
await store.close()

/** Written when it returns: what `process.stdout` still holds would be lost to a process that is killed. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

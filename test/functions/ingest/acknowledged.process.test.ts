import { expect, onTestFinished, test } from 'vitest'
import { type Env, onServe, MAIN } from '../../runtime/processes.ts'
import { openStore, temporaryFolder } from '../fleet.ts'
import { momentAfter, type Notification, text } from './notifications.ts'
import { sendAll } from './senders.ts'

const WORDS = ['LOCKED', 'HOLDOVER', 'FREERUN'] as const
const SENDERS = 20
const EACH = 50

const nodes = Array.from({ length: SENDERS }, (_, n) => `node${n}.example.com`)

async function makeStore() {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const env = {
    STATE_URL: `sqlite:${folder.path}/state.db`,
    PUBLISHERS: text(nodes.map((node) => ({ node, url: 'http://127.0.0.1:9' }))),
    HISTORY_PER_NODE: '1000',
  }
  return { env, open: () => openStore(env.STATE_URL) }
}

async function served(env: Env) {
  const host = await onServe(MAIN, 'ingest', env)
  onTestFinished(async () => {
    host.process.kill('SIGKILL')
    await host.process.exit
  })
  return host
}

/** Each of them is a transition of a clock that is its sender's alone, so that the log must have every one. */
function transitions(sender: number, nodeOf: (number: number) => string): Notification[] {
  return Array.from({ length: EACH }, (_, number) => ({
    node: nodeOf(number),
    instance: `ens${sender}fx/master`,
    word: WORDS[number % WORDS.length] ?? '',
    at: momentAfter(number),
  }))
}

const nameOf = ({ node, instance = '', at = '' }: Notification) => `${node} ${instance} ${at}`

async function logged(
  store: Awaited<ReturnType<typeof openStore>>,
  of: readonly string[],
): Promise<Set<string>> {
  const found = new Set<string>()
  for (const node of of) {
    for (const { instance, at } of await store.log(node, { after: 0, limit: 100_000 })) {
      found.add(`${node} ${instance} ${at}`)
    }
  }
  return found
}

test.each([
  ['SIGTERM', 0],
  ['SIGKILL', null],
] as const)('what was answered 204 is in the store when %s ends the process', async (signal, code) => {
  const { env, open } = await makeStore()
  const host = await served(env)
  let acknowledged = 0
  const onAcknowledged = () => {
    acknowledged += 1
    if (acknowledged === 200) host.process.kill(signal)
  }
  const seen = await Promise.all(
    nodes.map((_, sender) => {
      const nodeOf = (number: number) => nodes[(sender + number) % nodes.length] ?? ''
      return sendAll(host.url, transitions(sender, nodeOf), onAcknowledged)
    }),
  )
  expect(await host.process.exit).toBe(code)

  // It was hit while all were sending. A connection that was idle for a moment may be closed under a request that
  // is on its way; no request is refused.
  for (const { stoppedBy } of seen) expect(stoppedBy).toMatch(/^(ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET)$/)

  const store = await open()
  onTestFinished(() => store.close())
  const stored = await logged(store, nodes)
  const names = seen.flatMap((each) => each.acknowledged.map(nameOf))
  expect(names.length).toBeGreaterThanOrEqual(200)
  expect(names.filter((name) => !stored.has(name))).toEqual([])
})

test('two processes on one store lose nothing of a node whose events come to both', async () => {
  const { env, open } = await makeStore()
  const [node = ''] = nodes
  const hosts = await Promise.all([served(env), served(env)])
  // Every third is of a clock that both speak of; the newest of these is what must stand in the end.
  const sent = hosts.map((_, sender) =>
    transitions(sender, () => node).map((each, number) =>
      number % 3 === 2
        ? {
            ...each,
            instance: 'shared/master',
            word: WORDS[(number + sender) % 4] ?? 'LOCKED',
            at: momentAfter(2 * number + sender),
          }
        : each,
    ),
  )
  const seen = await Promise.all(hosts.map(({ url }, sender) => sendAll(url, sent[sender] ?? [])))
  expect(seen.map(({ stoppedBy }) => stoppedBy)).toEqual([undefined, undefined])
  for (const host of hosts) {
    host.process.kill('SIGTERM')
    expect(await host.process.exit).toBe(0)
  }

  const store = await open()
  onTestFinished(() => store.close())
  const state = await store.read(node)
  const log = await store.log(node, { after: 0, limit: 100_000 })
  expect(state?.counters.received).toBe(2 * EACH)
  expect(log.map(({ seq }) => seq)).toEqual(Array.from({ length: state?.seq ?? 0 }, (_, index) => index + 1))
  for (const [sender, all] of sent.entries()) {
    const instance = `ens${sender}fx/master`
    const own = all.filter((each) => each.instance === instance)
    const told = log.filter((entry) => entry.instance === instance)
    const changes = own.filter((each, index) => each.word !== own[index - 1]?.word)
    expect(told.map(({ to, at }) => [to, at])).toEqual(changes.map(({ word, at }) => [word, at]))
    expect(changes.length).toBeGreaterThan(EACH / 3)
  }
  const shared = sent.flat().filter(({ instance }) => instance === 'shared/master')
  const newest = shared.reduce((a, b) => ((a.at ?? '') > (b.at ?? '') ? a : b))
  const clock = state?.clocks.find(({ instance }) => instance === 'shared/master')
  expect(clock).toMatchObject({ state: newest.word, observedAt: newest.at })
})

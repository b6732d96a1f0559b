import { expect, onTestFinished, test } from 'vitest'
import { rawConnection } from '../runtime/raw.ts'
import { onFramework, onServe, MAIN } from '../runtime/processes.ts'
import { startLoad } from './support/load.ts'
import { environmentOf, NODES, proveNothingLost, sinkOfTest, sqliteStore } from './support/world.ts'

const HOSTS = [
  { name: 'our server', open: onServe, entry: MAIN, code: 0, cut: [] },
  // Which answers one of the requests in flight with 500 and cuts the others (docs/hosting.md).
  {
    name: 'the Functions Framework',
    open: onFramework,
    entry: 'functions/framework.ts',
    code: 0,
    cut: [500],
  },
]

test.each(HOSTS)(
  'SIGTERM in the middle of everything, on $name: what was acknowledged is stored and sent',
  async (row) => {
    const sink = await sinkOfTest()
    const env = environmentOf(sqliteStore().env, sink)
    const start = async () => {
      const host = await row.open(row.entry, 'ingest', env)
      onTestFinished(async () => {
        host.running.kill('SIGKILL')
        await host.running.exit
      })
      return host
    }
    let host = await start()
    const load = startLoad({ urls: () => [host.url], nodes: NODES, everyMs: 10, clocks: 4 })
    await load.more(20 * NODES.length)
    host.running.kill('SIGTERM')
    expect(await host.running.exit).toBe(row.code)
    const answers = new Set(
      load.sent.map(({ outcome }) => outcome).filter((outcome) => typeof outcome === 'number'),
    )
    for (const answer of answers) expect([204, ...row.cut]).toContain(answer)

    host = await start()
    await load.more(20 * NODES.length)
    await load.stop()
    await proveNothingLost({ env, sink, load })
  },
)

test('SIGTERM while connections wait to be accepted: they are answered, not reset', async () => {
  const { url, running } = await onServe(MAIN, 'ingest', { STATE_URL: 'memory:' })
  onTestFinished(async () => {
    running.kill('SIGKILL')
    await running.exit
  })
  // The kernel makes connections for a process that stands still.
  running.kill('SIGSTOP')
  const waiting = await Promise.all(
    Array.from({ length: 100 }, () => rawConnection(Number(new URL(url).port))),
  )
  for (const connection of waiting)
    connection.send('POST /event/worker-0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  running.kill('SIGTERM')
  running.kill('SIGCONT')
  for (const connection of waiting) expect(await connection.closed()).toMatch(/^HTTP\/1.1 204 /)
  expect(await running.exit).toBe(0)
})

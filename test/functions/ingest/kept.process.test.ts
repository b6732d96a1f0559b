import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** What a process holds, in MB, after a collection, beyond what it held before `script` ran. */
function keptBy(script: string): number {
  const whole = `
    const held = () => (gc(), gc(), process.memoryUsage().heapUsed / 1e6)
    const from = (file) => import(new URL(file, ${JSON.stringify(new URL('../../../', import.meta.url).href)}).href)
    ${script}`
  const args = ['--expose-gc', '--input-type=module', '-e', whole]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

test('paths are remembered without the queries that came with them', () => {
  const kept = keptBy(`
    const { createIngestHandler } = await from('functions/ingest/handler.ts')
    const { createCallback } = await from('shared/callback.ts')
    const receiver = { receive: async () => true }
    const clock = { now: () => 0 }
    const { handle } = createIngestHandler({ receiver, clock, callback: createCallback({ url: 'http://x' }) })
    const post = (number) => {
      const target = Buffer.from('/event/some-node-name-' + number + '?' + 'q'.repeat(15_000)).toString()
      const path = target.slice(0, target.indexOf('?'))
      const reply = handle({ method: 'POST', path, query: '', headers: {}, body: new Uint8Array(0) })
      if (reply.status !== 204) throw new Error('It was refused')
    }
    post(-1)
    const before = held()
    for (let number = 0; number < 3_000; number += 1) post(number)
    console.log(held() - before)`)
  expect(kept).toBeLessThan(5)
})

test('parts of addresses are remembered without the addresses', () => {
  const kept = keptBy(`
    const { readAddress } = await from('shared/events/address.ts')
    const read = (number) => {
      const text = '/cluster/node/' + 'x'.repeat(100_000) + '/some-interface-name-' + number + '/master'
      readAddress(Buffer.from(text).toString())
    }
    read(-1)
    const before = held()
    for (let number = 0; number < 500; number += 1) read(number)
    console.log(held() - before)`)
  expect(kept).toBeLessThan(5)
})

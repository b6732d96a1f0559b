import { writeFile } from 'node:fs/promises'
import { request } from 'undici'
import * as z from 'zod/mini'
import { createBundles } from './bundles.ts'
import { withWorld } from './world.ts'

/**
 * The memory of `poll --serve` with so many publishers, after so many ticks: `node test/bench/poll-memory.ts 500 5000`.
 * The heap is bounded as in a container of 256 MiB. For docs/scaling.md.
 */
const fleet = z.object({ publishers: z.array(z.object({ node: z.string(), url: z.string() })) })
const TICKS = 5

const bundles = await createBundles()
try {
  for (const count of process.argv.slice(2).map(Number)) {
    const signal = new AbortController().signal
    await withWorld({ bundles, rounds: 1, seconds: 1, signal }, async (world) => {
      const worker = await world.worker('fleet.ts')
      const callback = await world.server([bundles.bare])
      const { publishers } = await worker.ask(fleet, { do: 'start', count })
      const file = `${await world.folder()}/publishers.json`
      await writeFile(file, JSON.stringify(publishers.map((each) => ({ ...each, dialect: 'red-hat-v2' }))))
      const redis = await world.redis()
      const ours = await world.server(['--max-old-space-size=128', ...bundles.main, 'poll', '--serve'], {
        PUBLISHERS: file,
        CALLBACK_URL: callback.url,
        STATE_URL: redis.url,
        LOG_LEVEL: 'warn',
        POLL_DEADLINE_SECONDS: '3600',
      })
      let most = 0
      const watch = setInterval(() => {
        most = Math.max(most, ours.residentMiB())
      }, 50)
      const after: number[] = []
      for (let tick = 0; tick < TICKS; tick += 1) {
        const answer = await request(`${ours.url}/tick`, { method: 'POST', headersTimeout: 3_600_000 })
        await answer.body.dump()
        after.push(Math.round(ours.residentMiB()))
      }
      clearInterval(watch)
      const row = { publishers: count, most: Math.round(most), after }
      process.stdout.write(`${JSON.stringify(row)}\n`)
    })
  }
} finally {
  await bundles.remove()
}

import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Publisher } from '#local/publishers/index.ts'
import { startConsumer } from '../../publishers/support/consumer.ts'
import { folder } from '../../publishers/support/folder.ts'
import { type Env, start, MAIN } from '../../runtime/processes.ts'
import { held, startFleet, targetsOf } from './fleet.ts'

const SECRET = 'a secret that no output shows'

/** Runs `ptp-watch subscribe` as a process of its own. */
async function ptpWatch(args: readonly string[], env: Env) {
  const running = start([MAIN, 'subscribe', ...args], env)
  onTestFinished(() => running.kill('SIGKILL'))
  const code = await running.exit
  return { out: running.out(), err: running.err(), code }
}

async function environmentOf(publishers: readonly Publisher[], callbackUrl: string) {
  return {
    STATE_URL: `sqlite:${join(await folder(), 'state.db')}`,
    CALLBACK_URL: callbackUrl,
    CALLBACK_SECRET: SECRET,
    SUBSCRIBE_DEADLINE_SECONDS: '20',
    PUBLISHERS: JSON.stringify(targetsOf(publishers)),
    LOG_LEVEL: 'error',
  }
}

test('ptp-watch subscribe subscribes and says so, a second run finds all held, --remove deletes all', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  const env = await environmentOf(publishers, consumer.url)

  const first = await ptpWatch([], env)
  expect(first).toMatchObject({ code: 0 })
  expect(first.out).toBe('5 of 5 publishers done, 29 subscriptions held, 29 created\n')
  expect(first.err.trim().split('\n')).toHaveLength(5)
  expect(held(publishers)).toEqual([7, 5, 5, 5, 7])

  const second = await ptpWatch([], env)
  expect(second).toMatchObject({ code: 0, out: '5 of 5 publishers done, 29 subscriptions held\n' })

  const removed = await ptpWatch(['--remove'], env)
  expect(removed).toMatchObject({ code: 0, out: '5 of 5 publishers done, 29 removed\n' })
  expect(removed.err).toContain('stop scheduled polls first')
  expect(held(publishers)).toEqual([0, 0, 0, 0, 0])
})

test('ptp-watch subscribe --dry-run prints the plan without tokens, and does nothing', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  const env = await environmentOf(publishers, consumer.url)
  const planned = await ptpWatch(['--dry-run'], env)
  expect(planned.code).toBe(0)
  expect(planned.out).toContain(
    '  create   lock-state  /cluster/node/worker-0.site-a.example.com/sync/ptp-status/lock-state\n',
  )
  // What a host may lack is not promised.
  expect(planned.out).toMatch(/^ {2}create {3}synce-lock-state {2}\S+ {2}if the host has it$/m)
  expect(planned.out).toMatch(/5 of 5 publishers checked, nothing changed, \d+ or fewer to create\n$/)
  expect(held(publishers)).toEqual([0, 0, 0, 0, 0])

  await ptpWatch([], env)
  const removal = await ptpWatch(['--dry-run', '--remove'], env)
  expect(removal.out.match(/^ {2}remove {3}.*\/event\/[\w.-]+\/\*{3} {2}not-wanted$/gm)).toHaveLength(29)
  expect(held(publishers)).toEqual([7, 5, 5, 5, 7])
})

test('ptp-watch subscribe exits with 1 when a publisher failed, naming it and why', async () => {
  const publishers = await startFleet()
  const consumer = await startConsumer()
  const env = await environmentOf(publishers, consumer.url)
  await publishers[4]?.faults({ refuse: true })
  const { code, out, err } = await ptpWatch([], { ...env, SUBSCRIBE_DEADLINE_SECONDS: '1' })
  expect(code).toBe(1)
  expect(out).toContain('4 of 5 publishers done')
  expect(err).toMatch(/^failed: controller-0 \(http:\/\/127.0.0.1:\d+\): .*ECONNREFUSED/m)
  expect(err).not.toContain(SECRET)
})

test('ptp-watch subscribe that is stopped while it waits ends soon, with 1, and names what is missing', async () => {
  const publishers = await startFleet(3_600_000)
  const consumer = await startConsumer()
  const env = await environmentOf(publishers, consumer.url)
  const running = start([MAIN, 'subscribe'], { ...env, SUBSCRIBE_DEADLINE_SECONDS: '3600' })
  onTestFinished(() => running.kill('SIGKILL'))
  await running.until(/waiting for worker-0/)
  running.kill('SIGTERM')
  expect(await running.exit).toBe(1)
  expect(running.err()).toMatch(/^failed: worker-0\.site-a\.example\.com .*Stopped by SIGTERM/m)
  expect(running.out()).toContain('4 of 5 publishers done')
})

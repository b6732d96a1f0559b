import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { COMPILE_CACHE } from '../../runtime/processes.ts'
import type { Subject } from './contract.ts'
import { numbers, range } from './samples.ts'

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url))

/** What holds when several processes use one store, and when one of them is killed. */
export function processContract(
  name: string,
  makeSubject: () => Promise<SharedSubject>,
  { updates: each = 400 }: { readonly updates?: number } = {},
): void {
  const open = async () => {
    const { url, env, open, cleanUp } = await makeSubject()
    onTestFinished(cleanUp)
    const driver = await open()
    onTestFinished(() => driver.close())
    return { url, env, driver }
  }

  test(`the ${name} driver loses no update of several processes that write one node at once`, async () => {
    const { url, env, driver } = await open()
    const writers = 4
    const children = range(1, writers).map((number) => startWriter({ url, env }, `w${number}`, each))
    for (const { ready } of children) await ready
    for (const { go } of children) go()
    let running = true
    const done = Promise.all(children.map(({ ended }) => ended)).finally(() => {
      running = false
    })
    // A document never shows before its entries, nor entries before their document.
    for (let looks = 0; running; looks += 1) {
      const before = (await driver.read('shared'))?.state.seq ?? 0
      const newest = (await driver.log('shared', { after: before - 1, limit: 100_000 })).at(-1)?.seq ?? 0
      const after = (await driver.read('shared'))?.state.seq ?? 0
      expect(before, `look ${looks}`).toBeLessThanOrEqual(newest)
      expect(newest, `look ${looks}`).toBeLessThanOrEqual(after)
      await new Promise(setImmediate)
    }
    expect(await done).toEqual(children.map(() => ({ code: 0, signal: null, errors: '' })))

    const read = await driver.read('shared')
    const log = await driver.log('shared', { after: 0, limit: 100_000 })
    expect(read?.state.counters.received).toBe(writers * each)
    expect(read?.state.seq).toBe(writers * each)
    expect(numbers(log)).toEqual(range(1, writers * each))
    // They did meet: one after the other would be four runs.
    const writerOf = (to = '') => to.split(':')[0]
    const runs = log.filter(({ to }, index) => writerOf(to) !== writerOf(log[index - 1]?.to))
    expect(runs.length).toBeGreaterThan(writers)
    for (const number of range(1, writers)) {
      const own = log.flatMap(({ to = '' }) => (to.startsWith(`w${number}:`) ? [to] : []))
      expect(own).toEqual(range(1, each).map((count) => `w${number}:${count}`))
    }
  })

  test(`the ${name} driver has every update that a process had acknowledged when it was killed`, async () => {
    const { url, env, driver } = await open()
    for (const name of ['first', 'second', 'third']) {
      const writer = startWriter({ url, env }, name, 1_000_000)
      await writer.ready
      writer.go()
      await writer.acknowledged(40)
      writer.child.kill('SIGKILL')
      expect(await writer.ended).toMatchObject({ signal: 'SIGKILL' })

      const read = await driver.read('shared')
      const log = await driver.log('shared', { after: 0, limit: 1_000_000 })
      const own = log.flatMap(({ to = '' }) => (to.startsWith(`${name}:`) ? [to] : []))
      const acknowledged = writer.count()
      expect(acknowledged).toBeGreaterThanOrEqual(40)
      // One more may have been stored whose acknowledgement was not heard any more.
      expect([acknowledged, acknowledged + 1]).toContain(own.length)
      expect(own).toEqual(range(1, own.length).map((count) => `${name}:${count}`))
      expect(numbers(log)).toEqual(range(1, log.length))
      expect(read?.state).toMatchObject({ seq: log.length, counters: { received: log.length } })
    }
  })
}

/** A store that other processes reach by a state URL. */
export type SharedSubject = Subject & {
  readonly url: string
  /** What those processes need in their environment to reach it. */
  readonly env?: Readonly<Record<string, string>>
}

type Ended = { code: number | null; signal: string | null; errors: string }
type Writer = {
  readonly child: ChildProcess
  /** Resolves when the process has opened the store and waits for `go`. */
  readonly ready: Promise<void>
  go(): void
  /** How many updates the process has said were done. */
  count(): number
  /** Resolves once it says that at least so many are, or when it has ended. */
  acknowledged(least: number): Promise<void>
  readonly ended: Promise<Ended>
}

function startWriter(
  { url, env }: Pick<SharedSubject, 'url'> & { env: SharedSubject['env'] | undefined },
  name: string,
  count: number,
): Writer {
  const child = spawn(process.execPath, [WRITER, url, 'shared', name, String(count)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...COMPILE_CACHE, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let acknowledged = 0
  let progress = -1
  let errors = ''
  const waiting: { least: number; resolve: () => void }[] = []
  const tell = (reached: number) => {
    progress = reached
    for (const { least, resolve } of waiting) if (progress >= least) resolve()
  }
  const reached = (least: number) =>
    new Promise<void>((resolve) => {
      waiting.push({ least, resolve })
      tell(progress)
    })
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line !== 'ready') acknowledged = Number(line)
    tell(acknowledged)
  })
  // A process that died before it was told to go shows by how it ended.
  child.stdin.on('error', () => {})
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    tell(Number.POSITIVE_INFINITY)
    return { code, signal, errors }
  })
  return {
    child,
    count: () => acknowledged,
    acknowledged: reached,
    ready: reached(0),
    go: () => child.stdin.end('go\n'),
    ended,
  }
}

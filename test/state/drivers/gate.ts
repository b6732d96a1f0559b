import { StoreError } from '#shared/errors.ts'
import type { Driver, Write } from '#shared/state/store/driver.ts'

/** A real driver behind a gate: counts what passes, lets writes wait, refuses everything while it is down. */
export type Gate = {
  readonly driver: Driver
  /** Every write that has arrived, also those that wait or fail. */
  readonly writes: readonly Write[]
  reads(): number
  closed(): number
  /** Writes wait from now on. */
  hold(node?: string): void
  release(): void
  /** Resolves when so many writes have arrived. */
  arrived(count: number): Promise<void>
  /** Runs before each write reaches the driver, for somebody else to come first. */
  beforeWrite(run: (node: string) => Promise<void>): void
  /** Runs after each read, before its caller has it, for somebody else to write in between. */
  afterRead(run: () => Promise<void>): void
  down(): void
  up(): void
}

export function createGate(driver: Driver): Gate {
  const writes: Write[] = []
  const awaited: { count: number; resolve: () => void }[] = []
  let reads = 0
  let closed = 0
  let held: { node: string | undefined; released: Promise<void>; release: () => void } | undefined
  let before = async (_node: string) => {}
  let after = async () => {}
  let isDown = false

  const check = () => {
    if (isDown) throw new StoreError('The store is down')
  }
  const announce = () => {
    for (const { count, resolve } of awaited) if (writes.length >= count) resolve()
  }

  return {
    writes,
    reads: () => reads,
    closed: () => closed,
    hold(node) {
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      held = { node, released, release }
    },
    release() {
      held?.release()
      held = undefined
    },
    arrived: (count) =>
      new Promise((resolve) => {
        awaited.push({ count, resolve })
        announce()
      }),
    beforeWrite(run) {
      before = run
    },
    afterRead(run) {
      after = run
    },
    down() {
      isDown = true
    },
    up() {
      isDown = false
    },
    driver: {
      ...driver,
      async read(node, known) {
        reads += 1
        check()
        const read = await driver.read(node, known)
        await after()
        return read
      },
      async write(node, write) {
        writes.push(write)
        announce()
        if (held !== undefined && (held.node ?? node) === node) await held.released
        check()
        await before(node)
        return driver.write(node, write)
      },
      async close() {
        closed += 1
        await driver.close()
      },
    },
  }
}

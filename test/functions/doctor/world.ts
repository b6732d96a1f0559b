import * as z from 'zod/mini'
import { createRedHatV1, createRedHatV2, createStarlingX, type Publisher } from '#local/publishers/index.ts'
import { clocksIn } from '../../e2e/support/publishers.ts'
import { listening, startSystem, type System } from '../../e2e/support/system.ts'
import type { Env } from '../../runtime/processes.ts'

const finding = z.strictObject({
  node: z.nullable(z.string()),
  check: z.string(),
  status: z.enum(['ok', 'warning', 'failed', 'skipped']),
  result: z.string().check(z.minLength(1)),
  fix: z.string(),
})

export type Finding = z.infer<typeof finding>

export type Examined = {
  readonly code: number | null
  readonly err: string
  readonly findings: readonly Finding[]
  /** The findings of one check; of one that there must be exactly one of, see {@link Examined.one}. */
  of(check: string, publisher?: Pick<Publisher, 'node'>): Finding[]
  one(check: string, publisher?: Pick<Publisher, 'node'>): Finding
}

/**
 * One of each dialect. What a publisher says of clocks that are not in lock is always written at once; a mere
 * confirmation of LOCKED waits in ingest for some seconds.
 */
export async function startPublishers(
  options: { state?: 'LOCKED' | 'FREERUN'; deliveryTimeoutMs?: number } = {},
): Promise<[v2: Publisher, v1: Publisher, starlingX: Publisher]> {
  const { state = 'FREERUN', ...rest } = options
  const usual = { warmUpMs: 0, metricsPort: 0, ...rest }
  const publishers = await listening(
    createRedHatV2({ ...usual, node: 'worker-0.site-a.example.com', release: 'main' }),
    createRedHatV1({ ...usual, node: 'worker-1.site-a.example.com', release: '4.14', hopTimeoutMs: 50 }),
    createStarlingX({ ...usual, node: 'controller-0' }),
  )
  for (const publisher of publishers) publisher.setClock(...clocksIn(state))
  return [...publishers]
}

/** Entries of PUBLISHERS, with where their figures are. */
export function entriesOf(publishers: readonly Publisher[]): Record<string, string>[] {
  return publishers.map(({ node, url, transport, metrics }) => ({
    node,
    url,
    ...(transport === undefined ? {} : { transport }),
    ...(metrics === undefined ? {} : { metrics }),
  }))
}

/** The functions over these publishers, subscribed and polled. */
export async function startWatched(publishers: readonly Publisher[], env: Env = {}): Promise<System> {
  const system = await startSystem(publishers, {
    PUBLISHERS: JSON.stringify(entriesOf(publishers)),
    ...env,
  })
  await system.tick()
  for (const publisher of publishers) await publisher.idle()
  return system
}

/** Runs `ptp-watch doctor --json`. */
export async function examine(
  system: System,
  env: Env = {},
  args: readonly string[] = [],
): Promise<Examined> {
  const { code, out, err } = await system.run(['doctor', '--json', ...args], { LOG_LEVEL: 'warn', ...env })
  const findings = z.array(finding).parse(JSON.parse(out === '' ? '[]' : out))
  const of = (check: string, publisher?: Pick<Publisher, 'node'>) =>
    findings.filter((each) => each.check === check && each.node === (publisher?.node ?? null))
  return {
    code,
    err,
    findings,
    of,
    one(check, publisher) {
      const [first, ...more] = of(check, publisher)
      if (first === undefined || more.length > 0)
        throw new Error(`${check}: ${JSON.stringify([first, ...more])}`)
      return first
    },
  }
}

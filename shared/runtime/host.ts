import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { type Config, type Environment, readConfig } from '#shared/config/index.ts'
import { reasonOf } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import { systemClock } from '#shared/time.ts'
import type { Flags, FunctionDefinition, Host, OpenFunction } from './function.ts'
import { exceptHealth, type Phase, withHealth } from './health.ts'
import { createReplyCount } from './replies.ts'
import { type Limits, serve } from './serve.ts'

/**
 * What V8 is told while a function is served; each with its measure in docs/contributing/performance.md.
 *
 * - The old generation may grow by so many percent before it is collected. Left alone it grows to a multiple: 30 MiB
 *   more for as many events. Smaller, it is collected more often, and requests that come meanwhile take 20 ms.
 * - One thread collects the young one, which is small in the image: to divide so little among several took a tenth more
 *   processor time an event.
 * - No compiler between the quick one and the good one: what it leaves behind is a tenth of the process. The first
 *   7,000 events take a quarter longer for it.
 */
const WHILE_SERVED = ['--heap-growing-percent=170', '--no-parallel-scavenge', '--no-maglev']
/** V8's default. */
const AT_OTHER_TIMES = ['--heap-growing-percent=0', '--parallel-scavenge', '--maglev']

/** How long a function may take to write what waits and to let go. Milliseconds. */
const CLOSE_TIMEOUT = 5_000

export type Opened = { readonly config: Config; readonly host: Host; readonly open: OpenFunction }

/**
 * Opens a function in this process: its configuration read, and the real clock, randomness, log and metrics given.
 * @throws ConfigurationError with all problems of `env`; whatever the function's own `open` throws.
 */
export async function openFunction(
  definition: FunctionDefinition,
  env: Environment,
  flags: Flags = {},
): Promise<Opened> {
  const config = await readConfig(env, { required: definition.required })
  const host: Host = {
    clock: systemClock,
    log: createLog({ level: config.logLevel, now: systemClock.now, fields: { function: definition.name } }),
    metrics: createMetrics(),
    random: Math.random,
    newId: randomUUID,
  }
  return { config, host, open: await definition.open(config, host, flags) }
}

/**
 * Serves an opened function until `signal` is aborted, then drains it, closes it, and gives the exit code: 0, or 1
 * where requests were cut or what waited could not be written.
 * @throws ListenError if the address cannot be listened on; the function is closed then too.
 */
export async function serveUntil(
  { config, host, open }: Opened,
  signal: AbortSignal,
  limits: Partial<Limits> = {},
): Promise<number> {
  const { handle } = open
  if (handle === undefined) throw new TypeError('This function cannot be served')
  let phase: Phase = 'ready'
  let finished = true
  try {
    const serving = await serve({
      handle: withHealth(handle, {
        metrics: host.metrics,
        clock: host.clock,
        phase: () => phase,
        ping: open.ping,
      }),
      admit: open.admit === undefined ? undefined : exceptHealth(open.admit),
      port: config.port,
      host: config.host,
      log: host.log,
      limits,
      onReply: createReplyCount(host.metrics),
    })
    setFlags(WHILE_SERVED)
    await aborted(signal)
    // What V8 has compiled is kept under the flags of the end, and used under those of the start.
    setFlags(AT_OTHER_TIMES)
    phase = 'draining'
    host.log.info('draining', { reason: reasonOf(signal.reason) })
    finished = await serving.drain()
  } finally {
    finished = (await closed(open, host)) && finished
  }
  return finished ? 0 : 1
}

/** Closes a function within `timeout` milliseconds. False, and logged, where it could not. */
export async function closed(open: OpenFunction, host: Host, timeout = CLOSE_TIMEOUT): Promise<boolean> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(reject, timeout, new Error(`It took longer than ${timeout} ms`))
  try {
    await Promise.race([open.close(), late])
    return true
  } catch (error) {
    host.log.error('the function could not be closed', { reason: reasonOf(error) })
    return false
  } finally {
    clearTimeout(timer)
  }
}

/** Of a flag that it does not know V8 complains on standard error, and changes nothing. */
function setFlags(flags: readonly string[]): void {
  for (const flag of flags) setFlagsFromString(flag)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { type Config, type Environment, misspellings, readConfig } from '#shared/config.ts'
import { reasonOf } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { createMetrics } from '#shared/metrics.ts'
import { systemClock } from '#shared/time.ts'
import type { FunctionDefinition, Host, OpenFunction } from './function.ts'
import { type Phase, withHealth } from './health.ts'
import { createReplyCount } from './replies.ts'
import { type Limits, serve } from './serve.ts'

/**
 * How much of what it holds the old generation may grow by before it is collected. Left alone it grows to a multiple:
 * for as many events a process held 30 MiB more (docs/performance.md).
 */
const HEAP_GROWTH_PERCENT = 80

/** How long a function may take to write what waits and to let go. Milliseconds. */
const CLOSE_TIMEOUT = 5_000

export type Opened = { readonly config: Config; readonly host: Host; readonly open: OpenFunction }

/**
 * Opens a function in this process: its configuration read, and the real clock, randomness, log and metrics given.
 * @throws ConfigurationError with all problems of `env`; whatever the function's own `open` throws.
 */
export async function openFunction(definition: FunctionDefinition, env: Environment): Promise<Opened> {
  const config = await readConfig(env, { required: definition.required })
  const host: Host = {
    clock: systemClock,
    log: createLog({ level: config.logLevel, now: systemClock.now, fields: { function: definition.name } }),
    metrics: createMetrics(),
    random: Math.random,
    newId: randomUUID,
  }
  for (const remark of misspellings(env)) host.log.warn(remark)
  return { config, host, open: await definition.open(config, host) }
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
      port: config.port,
      host: config.host,
      log: host.log,
      limits,
      onReply: createReplyCount(host.metrics),
    })
    setHeapGrowth(HEAP_GROWTH_PERCENT)
    await aborted(signal)
    // Back to V8's own rule: what it has compiled is kept under the flags of the end, and used under those of the start.
    setHeapGrowth(0)
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

/** 0 leaves it to V8. A flag that a later V8 does not know changes nothing. */
function setHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

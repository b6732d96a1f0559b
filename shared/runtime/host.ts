import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { within } from '#shared/deadline.ts'
import { type Environment, readConfig } from '#shared/config/index.ts'
import { reasonOf } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { createMetrics, type Metrics } from '#shared/metrics.ts'
import { systemClock } from '#shared/time.ts'
import type { Flags, FunctionDefinition, Host, Opened, OpenFunction } from './function.ts'
import type { Phase } from './health.ts'
import { served } from './listener.ts'
import { type Limits, serve } from './serve.ts'

/** How long a function may take to write what is pending and shut down. Milliseconds. */
const CLOSE_TIMEOUT = 5_000

/**
 * Reads the configuration and opens a function in this process, with the real clock, randomness, log and metrics.
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
 * Serves an open function until `signal` is aborted, then drains and closes it. Returns the exit code: 0, or 1 if
 * requests were cut off or pending work could not be written.
 * @throws ListenError if the address cannot be listened on; the function is closed in that case too.
 */
export async function serveUntil(
  opened: Opened,
  signal: AbortSignal,
  limits: Partial<Limits> = {},
): Promise<number> {
  const { config, host, open } = opened
  let phase: Phase = 'ready'
  let finished = true
  try {
    const serving = await serve({
      ...served(opened, () => phase),
      port: config.port,
      host: config.host,
      log: host.log,
      limits,
      onReply: createReplyCount(host.metrics),
    })
    if (!signal.aborted) await once(signal, 'abort')
    phase = 'draining'
    host.log.info('draining', { reason: reasonOf(signal.reason) })
    finished = await serving.drain()
  } finally {
    finished = (await closed(open, host)) && finished
  }
  return finished ? 0 : 1
}

/** Closes a function within `timeout` milliseconds. If that fails, logs the reason and returns false. */
export async function closed(open: OpenFunction, host: Host, timeout = CLOSE_TIMEOUT): Promise<boolean> {
  try {
    await within(timeout, open.close(), () => new Error(`It took longer than ${timeout} ms`))
    return true
  } catch (error) {
    host.log.error('failed to close the function', { reason: reasonOf(error) })
    return false
  }
}

const STATUSES = [200, 202, 204, 400, 403, 404, 405, 408, 413, 415, 417, 431, 500, 503]

/** Counts every reply of a server by status, including those that never reach the function. */
function createReplyCount(metrics: Metrics): (status: number) => void {
  const replies = metrics.counter({
    name: 'ptp_watch_http_replies_total',
    help: 'HTTP responses by status, including those of the server itself: 400, 408, 413, 417, 431.',
    labels: { status: [...STATUSES.map(String), 'other'] },
  })
  return (status) => replies.inc({ status: STATUSES.includes(status) ? String(status) : 'other' })
}

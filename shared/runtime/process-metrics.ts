import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Metrics } from '#shared/metrics.ts'

/** How often the event loop delay is sampled, as in prom-client. Milliseconds. */
const RESOLUTION = 10

/** Adds metrics of this process and of Node.js under prom-client's names; each scrape reads them afresh. */
export function collectProcessMetrics(metrics: Metrics): void {
  const seconds = (microseconds: number) => microseconds / 1e6
  metrics.read('counter', {
    name: 'process_cpu_user_seconds_total',
    help: 'Total user CPU time spent in seconds.',
    read: () => seconds(process.cpuUsage().user),
  })
  metrics.read('counter', {
    name: 'process_cpu_system_seconds_total',
    help: 'Total system CPU time spent in seconds.',
    read: () => seconds(process.cpuUsage().system),
  })
  metrics.read('counter', {
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    read: () => seconds(process.cpuUsage().user + process.cpuUsage().system),
  })
  const start = Math.round(performance.timeOrigin / 1000)
  metrics.read('gauge', {
    name: 'process_start_time_seconds',
    help: 'Start time of the process in seconds since the Unix epoch.',
    read: () => start,
  })
  metrics.read('gauge', {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes.',
    read: () => fromProc(() => process.memoryUsage.rss()),
  })
  if (process.platform === 'linux') {
    metrics.read('gauge', {
      name: 'process_open_fds',
      help: 'Number of open file descriptors.',
      // Minus the descriptor that reads the folder.
      read: () => fromProc(() => readdirSync('/proc/self/fd').length - 1),
    })
  }

  const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
  delay.enable()
  const lag = {
    min: () => delay.min,
    max: () => delay.max,
    mean: () => delay.mean,
    stddev: () => delay.stddev,
    p50: () => delay.percentile(50),
    p90: () => delay.percentile(90),
    p99: () => delay.percentile(99),
  }
  const last = Object.keys(lag).at(-1)
  for (const [name, read] of Object.entries(lag)) {
    metrics.read('gauge', {
      name: `nodejs_eventloop_lag_${name}_seconds`,
      help: `Event loop delay since the last scrape: ${name}, in seconds, sampled every ${RESOLUTION} ms.`,
      read() {
        const value = delay.count === 0 ? 0 : read() / 1e9
        if (name === last) delay.reset()
        return value
      },
    })
  }

  const [major = '', minor = '', patch = ''] = process.versions.node.split('.')
  const labels = { version: process.version, major, minor, patch }
  metrics
    .gauge({
      name: 'nodejs_version_info',
      help: 'Node.js version info.',
      labels: { version: [process.version], major: [major], minor: [minor], patch: [patch] },
    })
    .set(labels, 1)
}

/** Reads from /proc; NaN if it is not mounted, so that the scrape still returns everything else. */
function fromProc(read: () => number): number {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return Number.NaN
    throw error
  }
}

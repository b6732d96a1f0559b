import { readFileSync } from 'node:fs'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { onFramework, onServe } from './processes.ts'

const ENV = { CALLBACK_URL: 'http://ingest', STATE_URL: 'memory:' }
const HOSTS = {
  serve: () => onServe('test/runtime/echo/main.ts', 'echo', ENV),
  framework: () => onFramework('test/runtime/echo/framework.ts', 'echo', ENV),
}

const LAG = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (name) => `nodejs_eventloop_lag_${name}_seconds`,
)

test.each(['serve', 'framework'] as const)('figures of the process are in /metrics, on %s', async (kind) => {
  const host = await HOSTS[kind]()
  try {
    const scrape = async () => (await request(`${host.url}/metrics`)).body.text()
    const figures = (text: string) =>
      new Map(
        [...text.matchAll(/^((?:process|nodejs)_\w+) (\S+)$/gm)].map(([, name, value]) => [
          name,
          Number(value),
        ]),
      )
    const first = figures(await scrape())
    for (let n = 0; n < 50; n++) await (await request(`${host.url}/health/liveness`)).body.dump()
    const text = await scrape()
    const second = figures(text)
    const of = (name: string) => second.get(name) ?? Number.NaN

    const status = readFileSync(`/proc/${host.running.pid}/status`, 'utf8')
    const resident = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024
    expect(of('process_resident_memory_bytes') / resident).toBeGreaterThan(0.5)
    expect(of('process_resident_memory_bytes') / resident).toBeLessThan(2)
    expect(of('process_open_fds')).toBeGreaterThan(5)
    expect(of('process_open_fds')).toBeLessThan(100)
    const age = Date.now() / 1000 - of('process_start_time_seconds')
    expect(age).toBeGreaterThan(0)
    expect(age).toBeLessThan(180)
    for (const name of ['user_seconds_total', 'seconds_total'].map((end) => `process_cpu_${end}`)) {
      expect(of(name)).toBeGreaterThan(first.get(name) ?? Number.NaN)
    }
    const parts = of('process_cpu_user_seconds_total') + of('process_cpu_system_seconds_total')
    expect(of('process_cpu_seconds_total')).toBeCloseTo(parts, 1)
    for (const name of LAG) {
      expect(of(name), name).toBeGreaterThanOrEqual(0)
      expect(of(name), name).toBeLessThan(60)
    }
    expect(of('nodejs_eventloop_lag_max_seconds')).toBeGreaterThanOrEqual(
      of('nodejs_eventloop_lag_p50_seconds'),
    )
    expect(text).toMatch(
      /^nodejs_version_info\{version="v\d+\.\d+\.\d+",major="\d+",minor="\d+",patch="\d+"\} 1$/m,
    )
    for (const name of second.keys()) {
      expect(text).toMatch(
        new RegExp(
          `^# HELP ${name} .+\n# TYPE ${name} ${name?.endsWith('_total') ? 'counter' : 'gauge'}$`,
          'm',
        ),
      )
    }
  } finally {
    await host.stop()
  }
})

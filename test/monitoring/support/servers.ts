import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'undici'
import { onTestFinished } from 'vitest'
import { parse, stringify } from 'yaml'
import * as z from 'zod/mini'
import { eventually } from '../../e2e/support/system.ts'
import { freePort } from '../../support/free-port.ts'
import { scaledDuration, scaledRules, shippedRules } from './rules.ts'

const SAMPLE = new URL('../../../knative/alertmanager/alertmanager.yml', import.meta.url)

/** As docs/monitoring.md has it. */
const SCRAPE_INTERVAL = '10s'
/** Prometheus's own default. */
const RESEND_DELAY = '1m'

const answer = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        value: z.tuple([z.number(), z.string()]),
      }),
    ),
  }),
})
export type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number }

export type Prometheus = { query(expression: string): Promise<Sample[]> }

/** Prometheus with the shipped rules, their times multiplied by `factor`, until the test ends. */
export async function startPrometheus(
  targets: readonly string[],
  alertmanager: string,
  factor: number,
): Promise<Prometheus> {
  const folder = await temporary()
  const interval = scaledDuration(SCRAPE_INTERVAL, factor)
  await writeFile(join(folder, 'rules.yml'), stringify(scaledRules(shippedRules(), factor)))
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: ['rules.yml'],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] },
    scrape_configs: [
      { job_name: 'ptp-watch', static_configs: [{ targets: targets.map((url) => new URL(url).host) }] },
    ],
  }
  await writeFile(join(folder, 'prometheus.yml'), stringify(config))
  const url = await started('prometheus', 'prometheus', (address) => [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${address}`,
    `--rules.alert.resend-delay=${scaledDuration(RESEND_DELAY, factor)}`,
  ])
  return {
    async query(expression) {
      const { statusCode, body } = await request(`${url}/api/v1/query`, { query: { query: expression } })
      const text = await body.text()
      if (statusCode !== 200) throw new Error(`${expression} was answered ${text}`)
      const { result } = answer.parse(JSON.parse(text)).data
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    },
  }
}

const alert = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
})
const notification = z.object({
  groupLabels: z.record(z.string(), z.string()),
  alerts: z.array(alert),
})
export type Notification = z.infer<typeof notification>

const held = z.array(
  z.object({
    labels: z.record(z.string(), z.string()),
    status: z.object({ state: z.string(), inhibitedBy: z.array(z.string()) }),
  }),
)

export type Alertmanager = {
  readonly url: string
  /** What its receiver was told, in order. */
  readonly notifications: readonly Notification[]
  /** The alerts that it holds but does not tell, because of others. */
  inhibited(): Promise<Readonly<Record<string, string>>[]>
}

/** Alertmanager with the sample configuration, its times multiplied by `factor`, and a receiver, until the test ends. */
export async function startAlertmanager(factor: number): Promise<Alertmanager> {
  const folder = await temporary()
  const receiver = await startReceiver()
  const sample = readFileSync(SAMPLE, 'utf8')
    .replace(/http:\/\/on-call\S+/, receiver.url)
    .replace(
      /(group_wait|group_interval): (\w+)/g,
      (_, name, time) => `${name}: ${scaledDuration(time, factor)}`,
    )
  await writeFile(join(folder, 'alertmanager.yml'), stringify(parse(sample)))
  const url = await started('prometheus-alertmanager', 'prometheus-alertmanager', (address) => [
    `--config.file=${join(folder, 'alertmanager.yml')}`,
    `--storage.path=${join(folder, 'data')}`,
    `--web.listen-address=${address}`,
    '--cluster.listen-address=',
  ])
  return {
    url,
    notifications: receiver.notifications,
    async inhibited() {
      const { body } = await request(`${url}/api/v2/alerts`)
      const alerts = held.parse(await body.json())
      return alerts.filter(({ status }) => status.inhibitedBy.length > 0).map(({ labels }) => labels)
    },
  }
}

async function startReceiver(): Promise<{ url: string; notifications: Notification[] }> {
  const notifications: Notification[] = []
  const server = createServer((incoming, response) => {
    let text = ''
    incoming.setEncoding('utf8').on('data', (part) => {
      text += part
    })
    incoming.on('end', () => {
      notifications.push(notification.parse(JSON.parse(text)))
      response.end()
    })
  })
  const port = await freePort()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${port}/`, notifications }
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-monitoring-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Starts a server of Debian's package on a free port; resolves with its URL once it is ready. */
async function started(
  command: string,
  debian: string,
  args: (address: string) => readonly string[],
): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`
  const child = spawn(command, args(address), { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  const ended = new Promise<never>((_, reject) => {
    child.once('error', (cause) => {
      reject(new Error(`This test needs ${command} in PATH: apt-get install ${debian}`, { cause }))
    })
    child.once('exit', (code) => reject(new Error(`${command} ended with ${code}:\n${said}`)))
  })
  ended.catch(() => {})
  onTestFinished(async () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  const ready = eventually(async () => {
    const { statusCode, body } = await request(`http://${address}/-/ready`)
    await body.dump()
    if (statusCode !== 200) throw new Error(`${command} is not ready: ${statusCode}`)
  })
  await Promise.race([ready, ended])
  return `http://${address}`
}

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '../state/drivers/temporary-folder.ts'
import { freePort } from './free-port.ts'

const run = promisify(execFile)
const MISSING = 'These tests need redis-server and redis-cli in PATH: apt-get install redis-server'

/** On a busy machine an answer may take longer than anybody would wait for it in earnest. */
export const PATIENT = 60_000

export type RedisServer = {
  readonly port: number
  readonly folder: string
  /** A command by redis-cli, as the default user without a password unless `options` say otherwise. */
  cli(command: readonly string[], options?: readonly string[]): Promise<string>
  /** Stops it; what was written is kept where the server keeps anything. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again, on the same port and in the same folder. */
  start(): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** Stops it and removes its folder. */
  close(): Promise<void>
}

export type RedisOptions = {
  /** Further lines of redis.conf; `%` stands for the folder. */
  readonly config?: readonly string[]
  readonly sentinel?: boolean
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string }
}

/** A redis-server of its own on a free port of 127.0.0.1, with everything in a temporary folder. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { config = [], sentinel = false, tls } = options
  const folder = await temporaryFolder()
  const file = join(folder.path, 'redis.conf')
  const port = await freePort()
  const lines = [
    'bind 127.0.0.1',
    `dir ${folder.path}`,
    ...(tls ? ['port 0', `tls-port ${port}`, 'tls-auth-clients no'] : [`port ${port}`]),
    ...(tls ? [`tls-cert-file ${tls.cert}`, `tls-key-file ${tls.key}`, `tls-ca-cert-file ${tls.ca}`] : []),
    ...(sentinel ? [] : ['save ""', 'enable-debug-command yes', 'repl-diskless-sync-delay 0']),
    ...config.map((line) => line.replaceAll('%', folder.path)),
  ]
  await appendFile(file, `${lines.join('\n')}\n`)
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    child = spawn('redis-server', [file, ...(sentinel ? ['--sentinel'] : [])], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await ready(child)
  }

  async function stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    // Without a process id it was never started.
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  const server: RedisServer = {
    port,
    folder: folder.path,
    async cli(command, flags = []) {
      const { stdout } = await run('redis-cli', ['-e', '-p', String(port), ...flags, ...command])
      return stdout.trim()
    },
    stop,
    start,
    signal: (signal) => void child?.kill(signal),
    async close() {
      await stop()
      await folder.remove()
    },
  }
  try {
    await start()
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

/** Three masters, each with a third of the slots. */
export async function startRedisCluster(
  config: readonly string[] = [],
): Promise<{ servers: RedisServer[]; close(): Promise<void> }> {
  const servers: RedisServer[] = []
  const close = async () => {
    for (const server of servers) await server.close()
  }
  try {
    for (let count = 0; count < 3; count += 1) {
      const bus = await freePort()
      servers.push(await startRedis({ config: ['cluster-enabled yes', `cluster-port ${bus}`, ...config] }))
    }
    const addresses = servers.map(({ port }) => `127.0.0.1:${port}`)
    await servers[0]?.cli([...addresses, '--cluster-yes'], ['--cluster', 'create'])
    for (const server of servers) {
      await until(async () => (await server.cli(['CLUSTER', 'INFO'])).includes('cluster_state:ok'))
    }
    return { servers, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Resolves once `holds` is true; asks again and again until then. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function ready(child: ChildProcess): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(MISSING, { cause })))
    child.once('exit', () => reject(new Error(`redis-server ended at once:\n${said}`)))
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      said += text
      if (/Ready to accept connections|Sentinel ID is/.test(text)) resolve()
    })
  })
}

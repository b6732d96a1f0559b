import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { Clock } from '#shared/time.ts'

/** Paths of PEM files and of the file of a bearer token; those that are absent are not used. */
export type CredentialFiles = {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly token?: string | undefined
}

export type Credentials = {
  /** Counts up when the CA, certificate or key changed: connections made before are of no use. */
  readonly tlsGeneration: number
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly token?: string
}

/** Credentials that follow their files. */
export type CredentialSource = {
  /**
   * What the files hold; they are looked at once in `intervalMs` at most, and at once with `fresh`.
   * A file that vanishes or a pair that does not fit while it is being replaced leaves what was read before.
   * @throws ConfigurationError if a file cannot be used the first time.
   */
  current(options?: { fresh?: boolean }): Promise<Credentials>
}

/**
 * `intervalMs`: how long a look at the files is believed. For messages: `whom`, who is shown them, and `variables`, what
 * each file is set by.
 */
export function createCredentials(
  files: CredentialFiles,
  deps: { clock: Clock; log: Log },
  options: { intervalMs?: number; whom?: string; variables?: CredentialFiles } = {},
): CredentialSource {
  const { whom = 'publishers', variables = {} } = options
  const paths = [files.ca, files.cert, files.key, files.token].filter((path) => path !== undefined)
  if (paths.length === 0) {
    const none: Credentials = { tlsGeneration: 0 }
    const known = Promise.resolve(none)
    return { current: () => known }
  }
  const intervalMs = options.intervalMs ?? 3_000
  let known: Credentials | undefined
  let stamp = ''
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  const look = async () => {
    try {
      // The stamp is taken first: a file that changes while it is read is then read again next time.
      const seen = await stampOf(files, variables)
      if (seen === stamp) return
      known = await load(files, known, variables)
      stamp = seen
    } catch (error) {
      const problem = `Credentials for ${whom} cannot be used: ${reasonOf(error)}`
      if (known === undefined) throw new ConfigurationError([problem])
      deps.log.warn(problem, { outcome: 'kept-old' })
    }
  }

  return {
    async current({ fresh = false } = {}) {
      if (known === undefined || fresh || Math.abs(deps.clock.now() - lookedAt) >= intervalMs) {
        lookedAt = deps.clock.now()
        looking ??= look().finally(() => {
          looking = undefined
        })
        await looking
      }
      return known ?? { tlsGeneration: 0 }
    },
  }
}

const NAMES = ['ca', 'cert', 'key', 'token'] as const

async function stampOf(files: CredentialFiles, variables: CredentialFiles): Promise<string> {
  const stamps = await Promise.all(
    NAMES.map(async (name) => {
      const path = files[name]
      if (path === undefined) return ''
      const file = await stat(path, { bigint: true }).catch((error: unknown) => {
        throw new Error(named(name, variables, reasonOf(error)))
      })
      return `${file.ino}:${file.size}:${file.mtimeNs}`
    }),
  )
  return stamps.join(' ')
}

function named(name: (typeof NAMES)[number], variables: CredentialFiles, problem: string): string {
  const variable = variables[name]
  return variable === undefined ? problem : `${variable}: ${problem}`
}

/** Each throws for a text that cannot be used. A secure context takes any `ca`, and would then trust nobody. */
const check: Readonly<Record<(typeof NAMES)[number], (text: string) => void>> = {
  ca: (text) => void new X509Certificate(pem(text)),
  cert: (text) => void createSecureContext({ cert: pem(text) }),
  key: (text) => void createSecureContext({ key: pem(text) }),
  token(text) {
    if (text.trim() === '') throw new Error('is empty')
  },
}

function pem(text: string): string {
  if (text.includes('-----BEGIN ')) return text
  throw new Error('holds no PEM')
}

async function load(
  files: CredentialFiles,
  before: Credentials | undefined,
  variables: CredentialFiles,
): Promise<Credentials> {
  const read = async (name: (typeof NAMES)[number]) => {
    const path = files[name]
    if (path === undefined) return undefined
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new Error(named(name, variables, reasonOf(error)))
    })
    try {
      check[name](text)
    } catch (error) {
      throw new Error(named(name, variables, `${path} ${reasonOf(error)}`))
    }
    return text
  }
  const [ca, cert, key, token] = await Promise.all(NAMES.map(read))
  const tls = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  }
  // Throws on a certificate without its key, as it is for a moment while the two files are replaced.
  createSecureContext(tls)
  const same = before !== undefined && before.ca === ca && before.cert === cert && before.key === key
  const tlsGeneration = before === undefined ? 0 : before.tlsGeneration + (same ? 0 : 1)
  return { ...tls, tlsGeneration, ...(token !== undefined && { token: token.trim() }) }
}

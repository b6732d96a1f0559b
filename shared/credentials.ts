import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates } from 'node:tls'
import { ConfigurationError, reasonOf } from './errors.ts'
import type { Log } from './log.ts'
import type { Clock } from './time.ts'

const NAMES = ['ca', 'cert', 'key', 'token'] as const
type Name = (typeof NAMES)[number]

/**
 * PEM texts and a bearer token, or the paths of their files. The same object is returned as long as nothing changes.
 */
export type Credentials = { readonly [name in Name]?: string | undefined }

export type CredentialSource = {
  /**
   * The content of the files, read at most every 3 s, or now with `fresh`. If a file vanishes, or a pair does not
   * match while it is being replaced, that is logged and the previous content stays in use.
   * @throws ConfigurationError if a file cannot be read the first time.
   */
  current(options?: { fresh?: boolean }): Promise<Credentials>
}

type CredentialOptions = {
  /** Who they are presented to, for messages. */
  readonly whom?: string
  /** `<prefix>_CA_FILE` and so on set the files; for messages. */
  readonly prefix?: string
  /** Values that are not in files; they take precedence. */
  readonly values?: Credentials
  /** A missing or empty token file means no token; unreadable files are only logged. */
  readonly optional?: boolean
}

const INTERVAL_MS = 3_000
const PUBLISHERS: CredentialOptions = { whom: 'publishers', prefix: 'PUBLISHER' }

/** Credentials that are read again when their files change. */
export function createCredentials(
  files: Credentials,
  { clock, log }: { clock: Clock; log: Log },
  { whom, prefix, values = {}, optional = false }: CredentialOptions = PUBLISHERS,
): CredentialSource {
  const names = NAMES.filter((name) => files[name] !== undefined && values[name] === undefined)
  let known = names.length === 0 ? values : undefined
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  const readOne = async (name: Name): Promise<string | undefined> => {
    const path = files[name] ?? ''
    try {
      const text = await readFile(path, 'utf8')
      if (optional && text.trim() === '') return undefined
      if (text !== known?.[name]) check(name, text, path)
      return name === 'token' ? text.trim() : text
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (optional && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined
      const variable = prefix === undefined ? '' : `${prefix}_${name.toUpperCase()}_FILE: `
      throw new Error(`${variable}${reasonOf(error)}`)
    }
  }

  const read = async () => {
    try {
      const texts = await Promise.all(names.map(readOne))
      const next: Credentials = { ...values, ...Object.fromEntries(names.map((name, i) => [name, texts[i]])) }
      const before = known
      if (before !== undefined && NAMES.every((name) => before[name] === next[name])) return
      // Throws for a certificate without its key, which happens for a moment while the two files are replaced.
      if (before?.cert !== next.cert || before?.key !== next.key) {
        createSecureContext({ cert: next.cert, key: next.key })
      }
      known = next
    } catch (error) {
      const problem = `Cannot use the credentials for ${whom}: ${reasonOf(error)}`
      if (known === undefined && !optional) throw new ConfigurationError([problem])
      known ??= values
      log.warn(problem, { outcome: 'kept-old' })
    }
  }

  return {
    async current({ fresh = false } = {}) {
      const isDue = Math.abs(clock.now() - readAt) >= INTERVAL_MS
      if (names.length > 0 && (known === undefined || fresh || isDue)) {
        readAt = clock.now()
        reading ??= read().finally(() => {
          reading = undefined
        })
        await reading
      }
      return known ?? values
    },
  }
}

/** Whether connections made with one can be used with the other. */
export function haveSameTls(one: Credentials, other: Credentials): boolean {
  return one.ca === other.ca && one.cert === other.cert && one.key === other.key
}

/** Node.js's own authorities plus this one. */
export function trustedBeside(ca: string | undefined): Credentials {
  return ca === undefined ? {} : { ca: [...rootCertificates, ca].join('\n') }
}

/** Throws if a text cannot be used. A secure context accepts any `ca`, and would then trust nobody. */
function check(name: Name, text: string, path: string): void {
  if (text.trim() === '') throw new Error(`${path} is empty`)
  if (name === 'token') return
  if (!text.includes('-----BEGIN ')) throw new Error(`${path} holds no PEM`)
  try {
    if (name === 'ca') new X509Certificate(text)
    else createSecureContext({ [name]: text })
  } catch (error) {
    throw new Error(`${path} ${reasonOf(error)}`)
  }
}

import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Pair = { readonly cert: string; readonly key: string }
export type Authority = Pair & { issue(name: string): Promise<Pair> }

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

const made = new Map<string, Promise<Pair>>()

/**
 * A certificate authority, with `<name>.crt` and `<name>.key` in `path`; the certificates it issues are good for
 * 127.0.0.1 and ::1, and lie beside it. In one file of tests the same names give the same certificates.
 */
export async function createAuthority(path: string, name: string): Promise<Authority> {
  const own = await give(path, name, (file) =>
    run('openssl', [
      ...['req', '-x509', ...KEY, '-keyout', file('key'), '-out', file('crt')],
      ...['-days', '1', '-subj', `/CN=${name}`],
    ]),
  )
  const ca = ['-CA', join(path, `${name}.crt`), '-CAkey', join(path, `${name}.key`), '-CAcreateserial']
  return {
    ...own,
    issue: (leaf) =>
      give(path, `${name}-${leaf}`, async (file) => {
        const request = ['-keyout', file('key'), '-out', file('csr'), '-subj', `/CN=${leaf}`]
        await run('openssl', ['req', ...KEY, ...request])
        await writeFile(file('ext'), 'subjectAltName=IP:127.0.0.1,IP:::1\n')
        const signed = ['-days', '1', '-extfile', file('ext'), '-out', file('crt')]
        await run('openssl', ['x509', '-req', '-in', file('csr'), ...ca, ...signed])
      }),
  }
}

/** The pair of that name, made where it is first asked for. */
async function give(
  path: string,
  name: string,
  make: (file: (end: string) => string) => Promise<unknown>,
): Promise<Pair> {
  const file = (end: string) => join(path, `${name}.${end}`)
  const known = made.get(name)
  const making =
    known ??
    make(file).then(async () => ({
      cert: await readFile(file('crt'), 'utf8'),
      key: await readFile(file('key'), 'utf8'),
    }))
  made.set(name, making)
  const pair = await making
  if (known !== undefined) {
    await writeFile(file('crt'), pair.cert)
    await writeFile(file('key'), pair.key, { mode: 0o600 })
  }
  return pair
}

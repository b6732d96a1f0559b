import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Pair = { readonly cert: string; readonly key: string }
export type Authority = Pair & { issue(name: string): Promise<Pair> }

/** A certificate authority made by openssl in `path`; the certificates it issues are good for 127.0.0.1 and ::1. */
export async function createAuthority(path: string, name: string): Promise<Authority> {
  const file = (end: string) => join(path, `${name}.${end}`)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', [
    ...['req', '-x509', ...key, '-keyout', file('key'), '-out', file('crt')],
    ...['-days', '1', '-subj', `/CN=${name}`],
  ])
  return {
    cert: await readFile(file('crt'), 'utf8'),
    key: await readFile(file('key'), 'utf8'),
    async issue(leaf) {
      const own = (end: string) => join(path, `${name}-${leaf}.${end}`)
      await run('openssl', ['req', ...key, '-keyout', own('key'), '-out', own('csr'), '-subj', `/CN=${leaf}`])
      await writeFile(own('ext'), 'subjectAltName=IP:127.0.0.1,IP:::1\n')
      await run('openssl', [
        ...['x509', '-req', '-in', own('csr'), '-CA', file('crt'), '-CAkey', file('key'), '-CAcreateserial'],
        ...['-days', '1', '-extfile', own('ext'), '-out', own('crt')],
      ])
      return { cert: await readFile(own('crt'), 'utf8'), key: await readFile(own('key'), 'utf8') }
    },
  }
}

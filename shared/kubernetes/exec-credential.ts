import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import * as z from 'zod/mini'
import type { Credentials } from '#shared/credentials.ts'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import { orAbsent } from './status.ts'

/** A person may have to log in first. Milliseconds. */
const PATIENCE_MS = 120_000

const text = orAbsent(z.string())

/** `users[].user.exec` of a kubeconfig (client.authentication.k8s.io). */
const execSchema = z.object({
  apiVersion: z.string(),
  command: z.string(),
  args: orAbsent(z.array(z.string())),
  env: orAbsent(z.array(z.object({ name: z.string(), value: z.string() }))),
  installHint: text,
})

const credential = z.object({
  status: z.object({ token: text, clientCertificateData: text, clientKeyData: text }),
})

/**
 * The credentials that an exec plug-in of a kubeconfig gives, asked for once: they are for a command that soon ends.
 * `folder`: that of the kubeconfig, by which a command with a slash goes.
 * @throws ConfigurationError if it cannot be run, or gives none.
 */
export async function execCredentials(exec: unknown, folder: string): Promise<Credentials> {
  const parsed = execSchema.safeParse(exec)
  if (!parsed.success) {
    throw new ConfigurationError([
      `The kubeconfig has a credential plug-in that cannot be used: ${z.prettifyError(parsed.error)}`,
    ])
  }
  const { apiVersion, command, args = [], env = [], installHint } = parsed.data
  const refuse = (reason: string) =>
    new ConfigurationError([
      `The kubeconfig's credential plug-in ${command} failed: ${reason}${installHint === undefined ? '' : `\n${installHint}`}`,
    ])
  const given = Object.fromEntries(env.map(({ name, value }) => [name, value]))
  const info = {
    kind: 'ExecCredential',
    apiVersion,
    spec: { interactive: process.stdin.isTTY === true },
  }
  try {
    const stdout = await outputOf(command.includes('/') ? resolve(folder, command) : command, args, {
      ...given,
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    })
    const {
      token,
      clientCertificateData: cert,
      clientKeyData: key,
    } = credential.parse(JSON.parse(stdout)).status
    if (token === undefined && cert === undefined)
      throw new Error('it gave neither a token nor a certificate')
    return { token, cert, key }
  } catch (error) {
    // What it wrote may hold the token.
    const isShape = error instanceof SyntaxError || error instanceof z.core.$ZodError
    throw refuse(isShape ? 'it did not write an ExecCredential' : reasonOf(error))
  }
}

/** What it writes for people, as where to log in, they see; it may ask them, too. */
async function outputOf(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['inherit', 'pipe', 'inherit'],
    timeout: PATIENCE_MS,
  })
  const [out, [code, signal]] = await Promise.all([textOf(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(code === null ? `ended by ${signal}` : `exit code ${code}`)
  return out
}

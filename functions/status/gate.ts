import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import { errorReply, type HttpHead, type Reply } from '#shared/runtime/reply.ts'

/** How long a token that was read is believed: Kubernetes replaces the files of a Secret while we run. Milliseconds. */
const BELIEVED_MS = 5_000

/** The refusal of a request without the token; undefined where it may pass. */
export type Gate = (head: Pick<HttpHead, 'headers'>) => Promise<Reply | undefined>

/**
 * Asks for the token in `file`, as `Authorization: Bearer <token>`, or as the password of Basic with any user name, so
 * that a browser asks for it. Compared in constant time.
 * @throws ConfigurationError where the file cannot be read or is empty; later that refuses everybody with 503.
 */
export async function openGate(file: string): Promise<Gate> {
  let token = await tokenIn(file)
  let readAt = performance.now()
  return async ({ headers }) => {
    if (performance.now() - readAt > BELIEVED_MS) {
      try {
        token = await tokenIn(file)
        readAt = performance.now()
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error
        return errorReply(503, 'token', 'The token to compare with cannot be read')
      }
    }
    const shown = shownIn(headers.authorization)
    if (shown !== undefined && timingSafeEqual(hashOf(shown), hashOf(token))) return undefined
    return errorReply(401, 'unauthorized', 'A token is needed: Authorization: Bearer <token>', {
      // Makes a browser ask for a password. Programs know that they send a bearer token.
      'www-authenticate': 'Basic realm="PTP Watch", charset="UTF-8"',
    })
  }
}

async function tokenIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new ConfigurationError([`STATUS_TOKEN_FILE cannot be read: ${reasonOf(error)}`])
  })
  if (text.trim() === '') throw new ConfigurationError([`STATUS_TOKEN_FILE names ${file}, which is empty`])
  return text.trim()
}

function shownIn(header: string | readonly string[] | undefined): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(String(header ?? '')) ?? []
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return undefined
  const pair = Buffer.from(value, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : pair.slice(colon + 1)
}

/** Of one length, whatever is shown. */
const hashOf = (text: string) => createHash('sha256').update(text).digest()

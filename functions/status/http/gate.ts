import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConfigurationError, reasonOf } from '#shared/errors.ts'
import { errorReply, type HttpHead, type Reply } from '#shared/runtime/reply.ts'

/** How long a token is cached: Kubernetes replaces the files of a Secret while we run. Milliseconds. */
const BELIEVED_MS = 5_000

/** Refuses a request without the token; undefined if it may pass. */
export type Gate = (head: Pick<HttpHead, 'headers'>) => Promise<Reply | undefined>

/**
 * Requires the token in `file` as `Authorization: Bearer <token>`, or as the Basic password with any user name, so that
 * browsers can ask for it. Compared in constant time.
 * @throws ConfigurationError if the file cannot be read or is empty; later that refuses everybody with 503.
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
        return errorReply(503, 'token', 'The configured token cannot be read')
      }
    }
    const shown = shownIn(headers.authorization)
    if (shown !== undefined && timingSafeEqual(hashOf(shown), hashOf(token))) return undefined
    return errorReply(401, 'unauthorized', 'A token is needed: Authorization: Bearer <token>', {
      // Makes a browser ask for a password. Programs already send a bearer token.
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

/** Of equal length, whatever was sent. */
const hashOf = (text: string) => createHash('sha256').update(text).digest()

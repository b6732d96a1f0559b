import { Client, errors } from 'undici'
import { notification, type Notification, text } from './notifications.ts'

/** What a publisher that keeps its connection saw of its notifications. */
export type Seen = {
  readonly acknowledged: readonly Notification[]
  /** Why it stopped before its last one: a status, or the code of an error. */
  readonly stoppedBy: string | undefined
}

/** Sends one notification after the other over one connection, and stops at the first that is not answered 204. */
export async function sendAll(
  url: string,
  notifications: readonly Notification[],
  onAcknowledged: () => void = () => {},
): Promise<Seen> {
  const client = new Client(url, { keepAliveTimeout: 90_000 })
  const acknowledged: Notification[] = []
  try {
    for (const each of notifications) {
      const { statusCode, body } = await client.request({
        method: 'POST',
        path: `/event/${each.node}`,
        headers: { 'content-type': 'application/json' },
        body: text(notification(each)),
      })
      await body.dump()
      if (statusCode !== 204) return { acknowledged, stoppedBy: String(statusCode) }
      acknowledged.push(each)
      onAcknowledged()
    }
    return { acknowledged, stoppedBy: undefined }
  } catch (error) {
    return { acknowledged, stoppedBy: codeOf(error) }
  } finally {
    await client.destroy()
  }
}

function codeOf(error: unknown): string {
  if (error instanceof errors.UndiciError) return error.code
  if (error instanceof Error && 'code' in error) return String(error.code)
  throw error
}

import { PublisherError } from '#shared/errors.ts'
import type { CallOptions, Client, Created, Resource } from '#shared/publishers/dialects/client.ts'
import { createRecord, type RecordDeps } from '#shared/publishers/reconcile/journal.ts'

/** How long taking it away may take, in ms; not even an end of the process shortens it. */
const CLEANUP_MS = 5_000

/**
 * Makes one subscription more for a moment, does `meanwhile`, and takes it away again, whatever comes. The document
 * has its kind as pending for as long as the publisher may be posting its initial notification, which merges as what
 * it is (design.md §3, rule 9).
 * @throws PublisherError if it was not made.
 */
export async function withExtra<T>(
  deps: RecordDeps,
  client: Client,
  { kind, address }: Resource,
  endpoint: string,
  call: CallOptions,
  meanwhile: () => Promise<T>,
): Promise<{ created: Created; result: T | undefined }> {
  const record = createRecord(deps, client.node)
  await record.pending(kind, client.queryTime)
  let created: Created | undefined
  try {
    created = await client.create({ address, endpoint }, call)
    record.answered(kind)
    await record.flush()
    return { created, result: created.outcome === 'created' ? await meanwhile() : undefined }
  } catch (error) {
    // Without an answer the publisher may still be creating: the entry stands until it dies of age.
    if (created === undefined && error instanceof PublisherError && error.status !== undefined) {
      record.answered(kind)
      await record.flush()
    }
    throw error
  } finally {
    await takeAway(client, created, endpoint)
  }
}

async function takeAway(client: Client, created: Created | undefined, endpoint: string): Promise<void> {
  const call = { deadlineMs: CLEANUP_MS }
  try {
    if (created?.outcome === 'created') await client.remove(created.id, call)
    // No answer does not mean that it was not made.
    if (created !== undefined) return
    for (const held of await client.list(call))
      if (held.endpoint === endpoint) await client.remove(held.id, call)
  } catch (error) {
    // The next poll takes it away.
    if (!(error instanceof PublisherError)) throw error
  }
}

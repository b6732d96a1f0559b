import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'
import { orAbsent } from './nulls.ts'

const status = z.object({
  kind: z.literal('Status'),
  message: orAbsent(z.string()),
  reason: orAbsent(z.string()),
})

/** The Status object by which the API server says what went wrong; undefined if the body is none. */
export function parseStatus(body: unknown): z.infer<typeof status> | undefined {
  const parsed = status.safeParse(body)
  return parsed.success ? parsed.data : undefined
}

/** What was attempted (`get configmaps x in namespace y`), against which server, and as whom. */
export type Attempted = { readonly what: string; readonly origin: string; readonly source: string }

/**
 * Credentials and permissions are put right from outside, also while this process runs, so that what they keep out
 * waits rather than being given up. A request that the server finds wrong stays wrong.
 */
export function failureOf({ what, origin, source }: Attempted, code: number, message: string): StoreError {
  if (code === 401) {
    return new StoreError(
      `Cannot ${what}: the API server at ${origin} does not accept the credentials of ${source} (401): ${message}`,
    )
  }
  if (code === 403) {
    return new StoreError(
      `Cannot ${what}: the API server at ${origin} does not allow it to ${source} (403): ${message}`,
    )
  }
  // What is not there (the namespace) can be made, too.
  const retryable = code === 404 || code === 408 || code === 429 || code >= 500
  return new StoreError(`Cannot ${what}: the API server at ${origin} answered ${code}: ${message}`, {
    retryable,
  })
}

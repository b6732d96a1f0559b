import * as z from 'zod/mini'
import { StoreError } from '#shared/errors.ts'

/** A Go server may write what is empty as null; where it may leave it out too, that means the same. */
export function orAbsent<T extends z.ZodMiniType>(schema: T) {
  return z.pipe(
    z.nullish(schema),
    z.transform((value): z.output<T> | undefined => value ?? undefined),
  )
}

/** The `items` of a list, null where it is empty. Always there: an answer without them is no list. */
export function itemsOf<T extends z.ZodMiniType>(schema: T) {
  return z.pipe(
    z.nullable(z.array(schema)),
    z.transform((items) => items ?? []),
  )
}

/** Of a list's metadata, what we go by: `continue` is empty, null or absent on the last page. */
export const listMetadata = orAbsent(z.object({ continue: orAbsent(z.string()) }))

const status = z.object({
  kind: z.literal('Status'),
  message: orAbsent(z.string()),
  reason: orAbsent(z.string()),
})

/** The Status object by which the API server says what went wrong; undefined if the body is none. */
export function parseStatus(body: unknown): z.infer<typeof status> | undefined {
  return status.safeParse(body).data
}

/** What was attempted (`get configmaps x in namespace y`), against which server, and as whom. */
export type Attempted = { readonly what: string; readonly origin: string; readonly source: string }

/** Credentials, permissions and namespaces can be put right while this process runs; a wrong request stays wrong. */
export function failureOf({ what, origin, source }: Attempted, code: number, message: string): StoreError {
  const said =
    code === 401
      ? `does not accept the credentials of ${source} (401)`
      : code === 403
        ? `does not allow it to ${source} (403)`
        : `answered ${code}`
  return new StoreError(`Cannot ${what}: the API server at ${origin} ${said}: ${message}`, {
    retryable: [401, 403, 404, 408, 429].includes(code) || code >= 500,
  })
}

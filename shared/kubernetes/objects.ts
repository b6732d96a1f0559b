import * as z from 'zod/mini'

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
    z.transform((items): z.output<T>[] => items ?? []),
  )
}

/** Labels, annotations, the data of a ConfigMap. */
export const texts = orAbsent(z.record(z.string(), z.string()))

const status = z.object({ kind: z.literal('Status'), message: orAbsent(z.string()) })

/** What the API server says of a failure, in its Status object; undefined if the body is none. */
export function statusMessage(body: unknown): string | undefined {
  return status.safeParse(body).data?.message
}

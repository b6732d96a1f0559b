import * as z from 'zod/mini'

/** A Go server may write an empty field as null or leave it out: both mean the same. */
export function orAbsent<T extends z.ZodMiniType>(schema: T) {
  return z.pipe(
    z.nullish(schema),
    z.transform((value): z.output<T> | undefined => value ?? undefined),
  )
}

/** The `items` of a list, null if it is empty. They are always present: an answer without them is not a list. */
export function itemsOf<T extends z.ZodMiniType>(schema: T) {
  return z.pipe(
    z.nullable(z.array(schema)),
    z.transform((items): z.output<T>[] => items ?? []),
  )
}

/** Labels, annotations, the data of a ConfigMap. */
export const texts = orAbsent(z.record(z.string(), z.string()))

const status = z.object({ kind: z.literal('Status'), message: orAbsent(z.string()) })

/** The message in the API server's Status object; undefined if the body is not one. */
export function statusMessage(body: unknown): string | undefined {
  return status.safeParse(body).data?.message
}

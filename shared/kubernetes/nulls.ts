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
    z.transform((items) => items ?? []),
  )
}

/** Of a list's metadata, what we go by: `continue` is empty, null or absent on the last page. */
export const listMetadata = orAbsent(z.object({ continue: orAbsent(z.string()) }))

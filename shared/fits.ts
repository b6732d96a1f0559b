import * as z from 'zod/mini'

type Check = (value: unknown) => boolean

/**
 * A check made once of a schema, several times as fast as parsing with it (docs/performance.md): true only for parsed
 * JSON that the schema accepts and gives back as it is. False proves nothing: ask the schema, which also says why.
 *
 * It knows what documents are made of: objects without a key that the schema has not, records, arrays, enums, text,
 * numbers. What else a schema may ask for never fits.
 */
export function createFits<T>(schema: z.ZodMiniType<T>): (value: unknown) => value is T {
  const check = checkOf(schema)
  return (value): value is T => check(value)
}

function checkOf(schema: z.core.$ZodType): Check {
  if (schema instanceof z.ZodMiniObject) return checkOfObject(schema)
  if (schema instanceof z.ZodMiniOptional && isBare(schema)) return checkOf(schema.def.innerType)
  if (schema instanceof z.ZodMiniNullable && isBare(schema)) {
    const check = checkOf(schema.def.innerType)
    return (value) => value === null || check(value)
  }
  if (schema instanceof z.ZodMiniArray && isBare(schema)) {
    const check = checkOf(schema.def.element)
    return (value) => Array.isArray(value) && value.every(check)
  }
  if (schema instanceof z.ZodMiniRecord && isBare(schema)) return checkOfRecord(schema)
  if (schema instanceof z.ZodMiniEnum && isBare(schema)) {
    const words: ReadonlySet<unknown> = new Set(Object.values(schema.def.entries))
    return (value) => words.has(value)
  }
  if (schema instanceof z.ZodMiniString && isBare(schema)) return (value) => typeof value === 'string'
  if (schema instanceof z.ZodMiniNumber && isBare(schema)) return (value) => Number.isFinite(value)
  if (schema instanceof z.ZodMiniBoolean && isBare(schema)) return (value) => typeof value === 'boolean'
  return () => false
}

/** Without a format, a length or another check of its own. */
function isBare({ def }: { readonly def: { checks?: unknown[] | undefined; format?: unknown } }): boolean {
  return (def.checks?.length ?? 0) === 0 && def.format === undefined
}

function checkOfObject(schema: z.ZodMiniObject): Check {
  if (schema.def.catchall !== undefined || !isBare(schema)) return () => false
  const fields = new Map(
    Object.entries(schema.def.shape).map(([name, field]) => [
      name,
      { check: checkOf(field), due: field instanceof z.ZodMiniOptional ? 0 : 1 },
    ]),
  )
  const due = [...fields.values()].filter((field) => field.due === 1).length
  return (value) => {
    if (!isObject(value)) return false
    let found = 0
    for (const name in value) {
      const field = fields.get(name)
      if (field === undefined || !field.check(value[name])) return false
      found += field.due
    }
    return found === due
  }
}

function checkOfRecord(schema: z.ZodMiniRecord): Check {
  const { keyType, valueType } = schema.def
  if (!(keyType instanceof z.ZodMiniString && isBare(keyType))) return () => false
  const check = checkOf(valueType)
  return (value) => {
    if (!isObject(value)) return false
    // Schemas leave out the one name that would not stay what it is.
    for (const name in value) if (name === '__proto__' || !check(value[name])) return false
    return true
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod/mini'
import { badRequest, invalid } from './refusal.ts'

type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const result: Json = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}

const operations = z.array(
  z.object({
    op: z.enum(['add', 'remove', 'replace', 'test']),
    path: z.string().check(z.startsWith('/')),
    value: z.optional(z.unknown()),
  }),
)

/** RFC 6902 over objects, `move` and `copy` left out. A `test` that fails is 422, not 409. */
export function jsonPatch(name: string, target: unknown, patch: unknown): unknown {
  const parsed = operations.safeParse(patch)
  if (!parsed.success) throw badRequest('error decoding patch')
  const result = structuredClone(target)
  for (const { op, path, value } of parsed.data) {
    const steps = path
      .slice(1)
      .split('/')
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    const last = steps.pop() ?? ''
    let at = result
    for (const step of steps) at = isObject(at) ? at[step] : undefined
    if (!isObject(at)) throw invalid(name, `the server rejected our request: ${path} is not there`)
    if (op === 'test') {
      if (!isDeepStrictEqual(at[last], value)) throw invalid(name, `testing value ${path} failed`)
    } else if (op === 'add') at[last] = value
    else if (!(last in at)) throw invalid(name, `the server rejected our request: ${path} is not there`)
    else if (op === 'remove') delete at[last]
    else at[last] = value
  }
  return result
}

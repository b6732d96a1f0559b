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

/** By which field the items of a list are the same item, by the name of the list: `conditions` of a Node by `type`. */
export type MergeKeys = Readonly<Record<string, string>>

/**
 * A strategic merge patch: lists that have a key are merged item by item, all others are replaced (Kubernetes,
 * `patchMergeKey`). Of its directives `$patch: delete` of an item is known.
 */
export function strategicMergePatch(target: unknown, patch: unknown, keys: MergeKeys): unknown {
  if (!isObject(patch)) return patch
  const result: Json = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    const key = keys[name]
    if (value === null) delete result[name]
    else if (key !== undefined && Array.isArray(value))
      result[name] = mergeItems(result[name], value, key, keys)
    else result[name] = strategicMergePatch(result[name], value, keys)
  }
  return result
}

function mergeItems(target: unknown, patch: readonly unknown[], key: string, keys: MergeKeys): unknown[] {
  const merged: unknown[] = Array.isArray(target) ? [...target] : []
  const keyOf = (item: unknown) => (isObject(item) ? item[key] : undefined)
  for (const item of patch) {
    const id = keyOf(item)
    if (id === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
    const at = merged.findIndex((one) => keyOf(one) === id)
    if (isObject(item) && item.$patch === 'delete') {
      if (at >= 0) merged.splice(at, 1)
    } else if (at < 0) merged.push(item)
    else merged[at] = strategicMergePatch(merged[at], item, keys)
  }
  return merged
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

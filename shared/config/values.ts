import * as z from 'zod/mini'
import { readStateUrl, STATE_URL_FORMS } from './state-url.ts'

/** Schemas of single values: they turn text from the environment into what the rest of the project uses. */

/** What each schema accepts, to complete the sentence "must be …" in errors and in docs/configuration.md. */
export const expectations = z.registry<{ readonly expected: string }>()

/**
 * A text parsed by `read`. If that returns undefined the text is rejected; if it returns an Error, its message is
 * appended to what is expected.
 */
export function text<T>(expected: string, read: (text: string) => T | Error | undefined) {
  const schema = z.pipe(
    z.string(expected),
    z.transform((value, context): T => {
      const result = read(value)
      const isError = result instanceof Error
      if (result !== undefined && !isError) return result
      const message = expected + (isError ? result.message : '')
      context.issues.push({ code: 'custom', message, input: value })
      return z.NEVER
    }),
  )
  expectations.add(schema, { expected })
  return schema
}

function number(words: string, form: RegExp, min: number, max: number) {
  return text(`${words} from ${min} to ${max}`, (value) => {
    const number = Number(value)
    return form.test(value) && number >= min && number <= max ? number : undefined
  })
}

export const wholeNumber = (min: number, max: number) => number('a whole number', /^\d+$/, min, max)

/** A duration in seconds; fractions are allowed. */
export const seconds = (min: number, max: number) => number('a number of seconds', /^\d+(\.\d+)?$/, min, max)

export function oneOf<const T extends string>(words: readonly T[]) {
  return text(`one of ${words.join(', ')}`, (value) => words.find((word) => word === value))
}

/** A comma-separated list of at least one of `words`; duplicates are dropped. */
export function someOf<const T extends string>(words: readonly T[]) {
  return text(`a comma-separated list of ${words.join(', ')}`, (value) => {
    const items = listed(value)
    const known = words.filter((word) => items.includes(word))
    const isKnown = items.length > 0 && items.every((item) => known.some((word) => word === item))
    return isKnown ? known.toSorted((a, b) => items.indexOf(a) - items.indexOf(b)) : undefined
  })
}

/** The base of URLs: it may have a path; trailing slashes are removed. */
export const httpUrl = text('an http or https URL without user, query or fragment', (value) =>
  value.includes('?') ? undefined : webUrl(value)?.href.replace(/\/+$/, ''),
)

/** Where events are posted: kept exactly as given, query included. */
export const sinkUrl = text('an http or https URL without user or fragment', (value) =>
  webUrl(value) === undefined ? undefined : value,
)

function webUrl(value: string): URL | undefined {
  const url = URL.parse(value)
  if (url === null || value.includes('#') || url.username !== '' || url.password !== '') return undefined
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined
}

const SECRET_LENGTH = 16

/** One value, or two during a rotation: the new one and the old one. */
export const secrets = text(
  `one value, or two different ones (new, old), each of at least ${SECRET_LENGTH} characters, separated by a comma or a line break`,
  (value) => {
    const values = listed(value)
    const distinct = new Set(values).size === values.length
    const long = values.every((secret) => secret.length >= SECRET_LENGTH)
    return distinct && long && values.length >= 1 && values.length <= 2 ? values : undefined
  },
)

export const hostName = text('a host name or an IP address', (value) =>
  /^[A-Za-z0-9._:-]+$/.test(value) ? value : undefined,
)

/** CloudEvents' own attributes (1.0.2 §3): no extension may have such a name. */
const CONTEXT = new Set('specversion id source type subject time datacontenttype dataschema data'.split(' '))

const overrides = z.looseObject({
  extensions: z._default(
    z.record(
      z.string().check(z.refine((name) => /^[a-z0-9]{1,20}$/.test(name) && !CONTEXT.has(name))),
      // Allowed both in a CloudEvents String and in an HTTP header.
      z.string().check(z.regex(/^[\x20-\x7e]*$/)),
    ),
    {},
  ),
})

/** The `ceOverrides` extensions of a SinkBinding (Knative Eventing). */
export const ceOverrides = text(
  'JSON of the form {"extensions":{"<name>":"<text>"}}, each name of 1 to 20 lower-case letters and digits and none of an event\'s own (id, type, subject …), each text of printable ASCII',
  (value) => {
    try {
      return overrides.parse(JSON.parse(value)).extensions
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof z.core.$ZodError) return undefined
      throw error
    }
  },
)

export type TaintConfig = {
  readonly key: string
  readonly value?: string
  readonly effect: 'NoSchedule' | 'PreferNoSchedule'
}

/** The key of a Kubernetes label or taint: `[prefix/]name`, where the prefix is a DNS name of up to 253 characters. */
export const KUBERNETES_KEY =
  /^(?:(?=[^/]{1,253}\/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const KUBERNETES_VALUE = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** NoExecute is not allowed: it would evict running pods. */
export const taint = text(
  'a taint of the form key[=value]:effect with the effect NoSchedule or PreferNoSchedule (NoExecute would evict Pods)',
  (given): TaintConfig | undefined => {
    const [, key = '', value, effect] = /^([^=:]+)(?:=([^=:]+))?:(\w+)$/.exec(given) ?? []
    if (effect !== 'NoSchedule' && effect !== 'PreferNoSchedule') return undefined
    if (!KUBERNETES_KEY.test(key) || (value !== undefined && !KUBERNETES_VALUE.test(value))) return undefined
    return { key, ...(value !== undefined && { value }), effect }
  },
)

export const certificates = text('one or more PEM certificates', (value) =>
  value.includes('-----BEGIN CERTIFICATE-----') ? value : undefined,
)

export const filePath = text('a path', (value) => value)

export const stateUrl = text(`one of ${STATE_URL_FORMS.join(', ')}`, (value) =>
  readStateUrl(value) === undefined ? undefined : value,
)

/** The items of a list, separated by commas or line breaks. */
export function listed(value: string): string[] {
  return value
    .split(/[,\n]/)
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

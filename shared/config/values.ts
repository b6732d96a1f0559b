import * as z from 'zod/mini'
import { readStateUrl, STATE_URL_FORMS } from './state-url.ts'

/** Schemas of single values: text of the environment in, what the rest of the project works with out. */

/** What each of them takes, as the end of the sentence "must be …": for errors, and for docs/configuration.md. */
export const expectations = z.registry<{ readonly expected: string }>()

/**
 * A text that `read` takes. What it gives nothing for is rejected; the message of an error that it gives says why,
 * after what is expected.
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

/** A time span in seconds; fractions are allowed. */
export const seconds = (min: number, max: number) => number('a number of seconds', /^\d+(\.\d+)?$/, min, max)

export function oneOf<const T extends string>(words: readonly T[]) {
  return text(`one of ${words.join(', ')}`, (value) => words.find((word) => word === value))
}

/** A comma list of at least one of `words`, repetitions dropped. */
export function someOf<const T extends string>(words: readonly T[]) {
  return text(`a comma-separated list of ${words.join(', ')}`, (value) => {
    const items = listed(value)
    const known = words.filter((word) => items.includes(word))
    const isKnown = items.length > 0 && items.every((item) => known.some((word) => word === item))
    return isKnown ? known.toSorted((a, b) => items.indexOf(a) - items.indexOf(b)) : undefined
  })
}

/** The base of addresses: its path may be set, its trailing slashes are cut. */
export const httpUrl = text('an http or https URL without user, query or fragment', (value) =>
  value.includes('?') ? undefined : webUrl(value)?.href.replace(/\/+$/, ''),
)

/** Where events are posted to: unlike a base of addresses it stays as it stands, with its query. */
export const sinkUrl = text('an http or https URL without user or fragment', (value) =>
  webUrl(value) === undefined ? undefined : value,
)

function webUrl(value: string): URL | undefined {
  const url = URL.parse(value)
  if (url === null || value.includes('#') || url.username !== '' || url.password !== '') return undefined
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined
}

const SECRET_LENGTH = 16

/** One value, or two for the time of a change: the new one and the old one. */
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

/** What an event says of itself by the specification (CloudEvents 1.0.2 §3); no extension may be named so. */
const CONTEXT = new Set('specversion id source type subject time datacontenttype dataschema data'.split(' '))

const overrides = z.looseObject({
  extensions: z._default(
    z.record(
      z.string().check(z.refine((name) => /^[a-z0-9]{1,20}$/.test(name) && !CONTEXT.has(name))),
      // What CloudEvents allows in a String and HTTP in a header.
      z.string().check(z.regex(/^[\x20-\x7e]*$/)),
    ),
    {},
  ),
})

/** The extensions of a SinkBinding's `ceOverrides` (Knative Eventing). */
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

/** The key of a label or a taint of Kubernetes: `[prefix/]name`, the prefix a DNS name of up to 253 characters. */
export const KUBERNETES_KEY =
  /^(?:(?=[^/]{1,253}\/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const KUBERNETES_VALUE = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** NoExecute would drive out what runs. */
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

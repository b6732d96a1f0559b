import * as z from 'zod/mini'

/** Schemas of single values: text of the environment in, what the rest of the project works with out. */

/** A text that `read` takes, or refuses with what was expected instead (the end of the sentence "must be …"). */
function text<T>(read: (text: string) => T | undefined, expected: string) {
  return z.pipe(
    z.string(),
    z.transform((value, context): T => {
      const result = read(value)
      if (result !== undefined) return result
      context.issues.push({ code: 'custom', message: expected, input: value })
      return z.NEVER
    }),
  )
}

export function wholeNumber(min: number, max: number) {
  return text((value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= min && number <= max ? number : undefined
  }, `a whole number from ${min} to ${max}`)
}

/** A time span in seconds; fractions are allowed. */
export function seconds(min: number, max: number) {
  return text((value) => {
    const number = Number(value)
    return /^\d+(\.\d+)?$/.test(value) && number >= min && number <= max ? number : undefined
  }, `a number of seconds from ${min} to ${max}`)
}

export function oneOf<const T extends string>(words: readonly T[]) {
  return text((value) => words.find((word) => word === value), `one of ${words.join(', ')}`)
}

/** A comma list of at least one of `words`, repetitions dropped. */
export function someOf<const T extends string>(words: readonly T[]) {
  return text(
    (value) => {
      const chosen = listed(value).map((item) => words.find((word) => word === item))
      const known = chosen.filter((word) => word !== undefined)
      return known.length === chosen.length && known.length > 0 ? [...new Set(known)] : undefined
    },
    `a comma-separated list of ${words.join(', ')}`,
  )
}

export const HTTP_URL = 'an http or https URL without user, query or fragment'

/** The base of addresses: its path may be set, its trailing slashes are cut. */
export const httpUrl = text((value) => {
  if (!URL.canParse(value)) return undefined
  const url = new URL(value)
  const plain = url.username === '' && url.password === '' && !/[?#]/.test(value)
  const web = url.protocol === 'http:' || url.protocol === 'https:'
  return plain && web ? url.href.replace(/\/+$/, '') : undefined
}, HTTP_URL)

/** One of the forms (each with what it must match), as it stands: it is the driver's to read. */
export function stateUrl(forms: Readonly<Record<string, RegExp>>) {
  const patterns = Object.values(forms)
  return text(
    (value) => (patterns.some((pattern) => pattern.test(value)) ? value : undefined),
    Object.keys(forms).join(' or '),
  )
}

const SECRET_LENGTH = 16

/** One value, or two for the time of a change: the new one and the old one. */
export const secrets = text((value) => {
  const values = listed(value)
  const distinct = new Set(values).size === values.length
  const long = values.every((secret) => secret.length >= SECRET_LENGTH)
  return distinct && long && values.length >= 1 && values.length <= 2 ? values : undefined
}, `one value, or two different ones (new, old), each of at least ${SECRET_LENGTH} characters, separated by a comma or a line break`)

export const hostName = text(
  (value) => (/^[A-Za-z0-9._:-]+$/.test(value) ? value : undefined),
  'a host name or an IP address',
)

/** Where events are posted to: unlike a base of addresses it stays as it stands, with its query. */
export const sinkUrl = text((value) => {
  if (!URL.canParse(value) || value.includes('#')) return undefined
  const { protocol, username, password } = new URL(value)
  const web = protocol === 'http:' || protocol === 'https:'
  return web && username === '' && password === '' ? value : undefined
}, 'an http or https URL without user or fragment')

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
export const ceOverrides = text((value) => {
  try {
    return overrides.parse(JSON.parse(value)).extensions
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.core.$ZodError) return undefined
    throw error
  }
}, 'JSON of the form {"extensions":{"<name>":"<text>"}}, each name of 1 to 20 lower-case letters and digits and none of an event\'s own (id, type, subject …), each text of printable ASCII')

export const certificates = text(
  (value) => (value.includes('-----BEGIN CERTIFICATE-----') ? value : undefined),
  'one certificate or more in PEM',
)

export const filePath = text((value) => value, 'a path')

function listed(value: string): string[] {
  return value
    .split(/[,\n]/)
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

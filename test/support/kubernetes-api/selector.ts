import { badRequest } from './refusal.ts'

type Labels = Readonly<Record<string, string>>

/** A label selector: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, separated by commas. */
export function parseSelector(text: string): (labels: Labels) => boolean {
  const requirements = text === '' ? [] : text.split(/,(?![^(]*\))/).map(parseRequirement)
  return (labels) => requirements.every((holds) => holds(labels))
}

function parseRequirement(text: string): (labels: Labels) => boolean {
  const set = /^\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*$/.exec(text)
  if (set !== null) {
    const [, key = '', operator, list = ''] = set
    const values = new Set(list.split(',').map((value) => value.trim()))
    return (labels) => values.has(labels[key] ?? '\u0000') === (operator === 'in')
  }
  const equality = /^\s*([^\s=!]+)\s*(==?|!=)\s*([^\s=!]*)\s*$/.exec(text)
  if (equality !== null) {
    const [, key = '', operator, value] = equality
    return (labels) => (labels[key] === value) === (operator !== '!=')
  }
  const existence = /^\s*(!?)([^\s=!()]+)\s*$/.exec(text)
  if (existence === null) throw badRequest(`unable to parse requirement: ${text}`)
  const [, not, key = ''] = existence
  return (labels) => key in labels === (not === '')
}

/** A field selector: `metadata.name=a,involvedObject.kind=Node`. What an object does not have is empty. */
export function parseFieldSelector(text: string): (object: unknown) => boolean {
  const terms = text === '' ? [] : text.split(',').map((term) => term.split(/(!?)==?/))
  return (object) =>
    terms.every(([path = '', not, value]) => (fieldOf(object, path) === value) === (not === ''))
}

function fieldOf(object: unknown, path: string): string {
  const found = path
    .split('.')
    .reduce<unknown>(
      (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
      object,
    )
  return found === undefined ? '' : String(found)
}

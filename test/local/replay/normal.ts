/** Labels for ids, which differ from run to run, so that equal ids stay equal and others differ. */
export function createLabels() {
  const recorded = new Map<string, string>()
  const actual = new Map<string, string>()
  const ids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

  const label = (text: string, labels: ReadonlyMap<string, string>) =>
    text.replace(ids, (id) => (id.startsWith('00000000-') ? id : (labels.get(id) ?? '<id>')))

  return {
    /** Pairs the ids of two bodies that say the same. */
    pair(recordedBody: string, actualBody: string) {
      const ours = actualBody.match(ids) ?? []
      for (const [index, id] of (recordedBody.match(ids) ?? []).entries()) {
        const own = ours[index]
        if (own === undefined || recorded.has(id)) continue
        recorded.set(id, `<id ${recorded.size + 1}>`)
        actual.set(own, `<id ${recorded.size}>`)
      }
    },
    recorded: (text: string) => label(text, recorded),
    actual: (text: string) => label(text, actual),
    /** The id that stands here for a recorded one. */
    translate: (text: string) =>
      text.replace(ids, (id) => [...actual].find(([, name]) => name === recorded.get(id))?.[0] ?? id),
  }
}

export type Labels = ReturnType<typeof createLabels>

/**
 * A body in the form in which two runs are equal: times replaced by a mark, entries of a list and of
 * `values` sorted. What is no JSON stays as it is. Key order stays and counts.
 */
export function normalBody(body: string): string {
  const text = body.replace(/"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"/g, '"time":"<time>"')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return text
  }
  const shape = /^\[\n \{\n {2}"/.test(text) ? 'indented ' : ''
  return shape + JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => JSON.stringify(item)).sort()
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, sorted(part)]))
}

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGES = ['design.md', 'protocol.md', 'starlingx.md'] as const
/** This file's own text speaks of citations that do not exist. */
const OWN = 'test/docs-references.test.ts'

type Citation = { readonly page: string; readonly target: string }

describe('the citations of a source file', () => {
  const cited = sources()
    .map(({ name, text }) => ({ name, citations: citationsIn(text) }))
    .filter(({ citations }) => citations.length > 0)

  it.each(['shared/events', 'shared/state', 'shared/publishers', 'functions', 'local', 'test'])(
    'are found in %s',
    (folder) => {
      expect(cited.filter(({ name }) => name.startsWith(folder))).not.toEqual([])
    },
  )

  it.each(cited)('are there: $name', ({ citations }) => {
    expect(missing(citations)).toEqual([])
  })
})

describe('the reading of citations', () => {
  const cited = (text: string) => citationsIn(text).map(({ page, target }) => `${page} ${target}`)

  it.each([
    ['// as protocol.md §2.6 says', ['protocol.md §2.6']],
    ['/** (protocol.md §2.2 to §2.5) */', ['protocol.md §2.2', 'protocol.md §2.5']],
    ['/** (protocol.md §2.6, §5) */', ['protocol.md §2.6', 'protocol.md §5']],
    ['/** (protocol.md §3 and\n *  §4.1). */', ['protocol.md §3', 'protocol.md §4.1']],
    ['/**\n * what comes (protocol.md\n * §2.6).\n */', ['protocol.md §2.6']],
    [
      '/** (design.md §3, rules 4 to 6, and of 8) */',
      ['design.md §3', 'design.md rule 4', 'design.md rule 6', 'design.md rule 8'],
    ],
    ['// Rules 7 and 8: a pull', ['design.md rule 7', 'design.md rule 8']],
    ["describe('rule 3: a clock set back')", ['design.md rule 3']],
    [
      '/** (starlingx.md, "One consumer for both", rule 1) */',
      ['starlingx.md "One consumer for both"', 'starlingx.md rule 1'],
    ],
    ['/** see starlingx.md */', ['starlingx.md the page']],
    ['// protocol.md §2 first\n\n// then more (§2.5)', ['protocol.md §2', 'protocol.md §2.5']],
    ['/** (RFC 9110, §3.2.2) */', []],
    ['/** protocol.md §2, and (RFC 9110 §3.2.2) */', ['protocol.md §2']],
    ['/** of nobody knows what (§3.2.2) */', []],
    ['/** as the ruler of 8 */', []],
  ])('finds in %j %j', (text, expected) => {
    expect(cited(text)).toEqual(expected)
  })

  it('tells what a page has from what it has not', () => {
    const page = '# Page\n\n## 2. Two\n\n### 2.1 One\n\n## Words\n\n1. first\n\n```\n## 9. In a sample\n```\n'
    expect([...targetsOf(page)]).toEqual(['the page', '§2', '§2.1', '"Words"', 'rule 1'])
  })
})

describe('a page', () => {
  const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].concat(
    readdirSync(join(ROOT, 'docs')).flatMap((name) => (name.endsWith('.md') ? `docs/${name}` : [])),
  )
  const links = pages.flatMap((page) =>
    Array.from(read(page).matchAll(/\]\((?!https?:)([^)#]+)/g), ([, link = '']) => ({ page, link })),
  )

  it.each(links)('$page links to $link, which is there', ({ page, link }) => {
    expect(existsSync(join(ROOT, dirname(page), link))).toBe(true)
  })

  it.each(pages)('%s cites sections that are there', (page) => {
    expect(missing(citationsIn(withoutSamples(read(page)), basePage(page)))).toEqual([])
  })

  it.each(pathsIn(read('ARCHITECTURE.md')))('ARCHITECTURE.md names %s, which is there', (path) => {
    expect(existsSync(join(ROOT, path))).toBe(true)
  })
})

/** Those of the citations that lead nowhere. */
function missing(citations: readonly Citation[]): string[] {
  const there = (page: string) => targetsOf(read(`docs/${page}`))
  return citations.flatMap(({ page, target }) => (there(page).has(target) ? [] : [`${page} ${target}`]))
}

/** What may be cited of a page: itself, its sections by number or by name, and its numbered rules. */
function targetsOf(page: string): Set<string> {
  const targets = new Set(['the page'])
  for (const line of withoutSamples(page).split('\n')) {
    const section = /^#{2,4} (\d+(?:\.\d+)*)\.? /.exec(line)?.[1]
    if (section !== undefined) targets.add(`§${section}`)
    else if (/^#{2,4} /.test(line)) targets.add(`"${line.replace(/^#+ /, '')}"`)
    const rule = /^(\d+)\. /.exec(line)?.[1]
    if (rule !== undefined) targets.add(`rule ${rule}`)
  }
  return targets
}

/**
 * The citations in a text, also those that a comment breaks over lines: `protocol.md §2.2, §2.4 to §2.6`,
 * `design.md §3, rules 4 to 10`, `starlingx.md, "Heading", rule 1`; a rule without a page is one of the merge
 * rules; a section without a page is one of `base`, or, alone in brackets, of the one page that the text cites.
 */
function citationsIn(text: string, base?: string): Citation[] {
  const joined = text.replaceAll(/\s*\n\s*(?:\*(?!\/)|\/\/)?\s*/g, ' ')
  const sections = '§\\d+(?:\\.\\d+)*(?:(?:,|,? and|,? to) §\\d+(?:\\.\\d+)*)*'
  const rules = '\\b[Rr]ules? \\d+(?:(?:,? and of|,? and|,? to|,) \\d+)*'
  const pattern = new RegExp(
    `(?<page>(?:design|protocol|starlingx)\\.md)(?<rest>(?:,? (?:"[^"]+"|${sections}|${rules}))*)|(?<rules>${rules})|(?<sections>${sections})`,
    'g',
  )
  const only = onlyPage(joined)
  const citations: Citation[] = []
  for (const { groups = {}, index } of joined.matchAll(pattern)) {
    const bare = base ?? (joined[index - 1] === '(' ? only : undefined)
    const page = groups.page ?? (groups.sections === undefined ? 'design.md' : bare)
    const cited = targetsIn(groups.rest ?? groups.rules ?? groups.sections ?? '')
    if (page === undefined) continue
    for (const target of cited.length === 0 ? ['the page'] : cited) citations.push({ page, target })
  }
  return citations
}

function targetsIn(text: string): string[] {
  return Array.from(text.matchAll(/"[^"]+"|§[\d.]*\d|\b\d+\b/g), ([target]) =>
    /^\d/.test(target) ? `rule ${target}` : target,
  )
}

/** The page whose sections a text cites; undefined if it cites those of none, or of several. */
function onlyPage(text: string): string | undefined {
  const [page, ...others] = PAGES.filter((name) => text.includes(`${name} §`))
  return others.length === 0 ? page : undefined
}

/** Where a section that is cited without a page is looked for. */
function basePage(page: string): string | undefined {
  return PAGES.find((name) => page === `docs/${name}`)
}

/** What stands in backticks and looks like a path of this repository. */
function pathsIn(page: string): string[] {
  const words = Array.from(page.matchAll(/`([^`\n]+)`/g), ([, code = '']) => code.split(' ')).flat()
  return [...new Set(words.filter((word) => /^(?:functions|shared|local|test|docs)\/[\w./-]*$/.test(word)))]
}

function withoutSamples(page: string): string {
  return page.replaceAll(/^```[\s\S]*?^```/gm, '')
}

function sources(): { name: string; text: string }[] {
  return ['shared', 'functions', 'local', 'test'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((name) => name.endsWith('.ts') && name !== OWN)
      .map((name) => ({ name, text: read(name) })),
  )
}

function read(name: string): string {
  return readFileSync(join(ROOT, name), 'utf8')
}

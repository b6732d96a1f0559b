import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** What each folder must not import: the arrows of ARCHITECTURE.md point one way. */
const FORBIDDEN: readonly (readonly [folder: string, imports: string])[] = [
  ['shared', '#shared/events/wire.ts'],
  ['shared/config', '#shared/state/store/store.ts'],
  ['shared/config', '#shared/publishers/open.ts'],
  ['shared/config', '#shared/broker/open.ts'],
  ['shared/events', '#shared/state/document.ts'],
  ['shared/events', '#shared/config/index.ts'],
  ['shared/events', 'node:fs'],
  ['shared/events', 'undici'],
  ['shared/http', '#shared/publishers/open.ts'],
  ['shared/kubernetes', '#shared/state/store/store.ts'],
  ['shared/redis', '#shared/publishers/open.ts'],
  ['shared/state/merge', 'node:fs'],
  ['shared/state/merge', '#shared/state/drivers/memory.ts'],
  ['shared/state/merge', '#shared/state/store/store.ts'],
  ['shared/state/merge', '#shared/log.ts'],
  ['shared/state/store', '#shared/publishers/open.ts'],
  ['shared/state/store', '#shared/broker/forward.ts'],
  ['shared/state/drivers', './memory.ts'],
  ['shared/state/drivers', './redis.ts'],
  ['shared/state/drivers', '#shared/runtime/reply.ts'],
  ['shared/publishers/reconcile', '#shared/runtime/reply.ts'],
  ['shared/publishers/reconcile', '#functions/poll/index.ts'],
  ['shared/broker', '#shared/publishers/open.ts'],
  ['shared/broker', '#shared/runtime/reply.ts'],
  ['shared/runtime', '#shared/state/store/store.ts'],
  ['shared/runtime', '#functions/main.ts'],
  ['functions/ingest', '../poll/index.ts'],
  ['functions/poll', '#functions/subscribe/index.ts'],
  ['functions/doctor/checks', '../../poll/index.ts'],
  ['functions/status', '#local/fleet.ts'],
  ['functions', '#local/fleet.ts'],
  ['local/publishers', '#shared/events/normalise.ts'],
  ['local/life', '#functions/main.ts'],
]

const ALLOWED: readonly (readonly [folder: string, imports: string])[] = [
  ['shared/events', '#shared/time.ts'],
  ['shared/state/merge', '#shared/events/words.ts'],
  ['shared/publishers/reconcile', '#shared/state/document.ts'],
  ['functions/ingest', '#shared/runtime/reply.ts'],
  ['functions/doctor/checks', '../report.ts'],
  ['shared/broker', '#shared/state/store/store.ts'],
  ['shared/state/drivers', '#shared/kubernetes/client.ts'],
  ['local', '#functions/status/terminal/table.ts'],
]

describe('the linter', () => {
  const cases = [...FORBIDDEN, ...ALLOWED]
  const refused = lint(cases)

  it.each(FORBIDDEN)('keeps %s from importing %s', (...one) => {
    expect(refused).toContain(cases.findIndex((each) => each.join() === one.join()))
  })

  it.each(ALLOWED)('lets %s import %s', (...one) => {
    expect(refused).not.toContain(cases.findIndex((each) => each.join() === one.join()))
  })
})

describe('package.json', () => {
  it('pins every version exactly', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
      readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
    )
    const versions = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([])
  })
})

/** Which of the cases, each a file of its own, Biome refuses with our configuration for what they import. */
function lint(cases: readonly (readonly [folder: string, imports: string])[]): readonly number[] {
  const root = mkdtempSync(join(tmpdir(), 'ptp-watch-lint-'))
  try {
    copyFileSync(new URL('../biome.json', import.meta.url), join(root, 'biome.json'))
    for (const [i, [folder, imports]] of cases.entries()) {
      mkdirSync(join(root, folder), { recursive: true })
      writeFileSync(join(root, folder, `case-${i}.ts`), `import { x } from '${imports}'\n\nx()\n`)
    }
    const biome = fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url))
    const { stdout, stderr } = spawnSync(
      biome,
      ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '.'],
      {
        cwd: root,
        encoding: 'utf8',
      },
    )
    const text = stdout + stderr
    expect(text).toContain(`Checked ${cases.length + 1} files`)
    return [...text.matchAll(/case-(\d+)\.ts:\S+ lint\/style\/noRestrictedImports/g)].map(([, i]) =>
      Number(i),
    )
  } finally {
    rmSync(root, { recursive: true })
  }
}

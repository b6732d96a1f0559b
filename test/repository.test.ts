import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** What each folder must not import: the arrows of ARCHITECTURE.md point one way. */
const FORBIDDEN: readonly (readonly [file: string, imports: string])[] = [
  ['shared/time.ts', './events/wire.ts'],
  ['shared/config.ts', '#shared/state/store.ts'],
  ['shared/config/variables.ts', '#shared/publishers/client.ts'],
  ['shared/events/normalise.ts', '../state/clock.ts'],
  ['shared/events/normalise.ts', '#shared/config.ts'],
  ['shared/events/wire.ts', 'node:fs'],
  ['shared/events/wire.ts', 'undici'],
  ['shared/state/merge-push.ts', 'node:fs'],
  ['shared/state/merge-pull.ts', './drivers/memory.ts'],
  ['shared/state/overall.ts', '../log.ts'],
  ['shared/state/store.ts', '#shared/publishers/keeper.ts'],
  ['shared/state/drivers/sqlite.ts', './memory.ts'],
  ['shared/state/drivers/sqlite.ts', '#shared/runtime/http.ts'],
  ['shared/publishers/keeper.ts', '#shared/runtime/http.ts'],
  ['shared/publishers/keeper.ts', '#functions/poll/handler.ts'],
  ['shared/kubernetes/client.ts', '#shared/state/store.ts'],
  ['shared/redis/client.ts', '#shared/publishers/http.ts'],
  ['shared/state/drivers/configmap.ts', './redis.ts'],
  ['shared/broker/forward.ts', '#shared/publishers/keeper.ts'],
  ['shared/broker/sink.ts', '#shared/runtime/http.ts'],
  ['shared/state/store.ts', '#shared/broker/forward.ts'],
  ['shared/config.ts', '#shared/broker/open.ts'],
  ['shared/runtime/serve.ts', '#shared/state/store.ts'],
  ['shared/runtime/serve.ts', '#functions/main.ts'],
  ['functions/ingest/handler.ts', '../poll/handler.ts'],
  ['functions/poll/index.ts', '#functions/subscribe/handler.ts'],
  ['functions/status/index.ts', '#local/fleet.ts'],
  ['functions/doctor/index.ts', '#functions/subscribe/handler.ts'],
  ['functions/forget/index.ts', '#functions/poll/handler.ts'],
  ['functions/main.ts', '#local/fleet.ts'],
  ['local/publishers/redfish.ts', '#shared/events/normalise.ts'],
  ['local/fleet.ts', '#shared/publishers/client.ts'],
]

const ALLOWED: readonly (readonly [file: string, imports: string])[] = [
  ['shared/events/normalise.ts', '../time.ts'],
  ['shared/state/merge-push.ts', '../events/words.ts'],
  ['shared/publishers/keeper.ts', '#shared/state/node-state.ts'],
  ['functions/ingest/handler.ts', '#shared/runtime/http.ts'],
  ['shared/broker/forward.ts', '#shared/state/store.ts'],
  ['shared/state/drivers/configmap.ts', '#shared/kubernetes/client.ts'],
  ['shared/state/drivers/configmap.ts', '#shared/state/drivers/configmap/naming.ts'],
  ['local/main.ts', '#functions/status/table.ts'],
]

describe('the linter', () => {
  it.each(FORBIDDEN)('keeps %s from importing %s', (file, imports) => {
    expect(lint(file, imports)).toContain('noRestrictedImports')
  })

  it.each(ALLOWED)('lets %s import %s', (file, imports) => {
    expect(lint(file, imports)).not.toContain('noRestrictedImports')
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

/** What Biome, with our configuration, says of a file at that place that imports that. */
function lint(file: string, imports: string): string {
  const root = mkdtempSync(join(tmpdir(), 'ptp-watch-lint-'))
  try {
    copyFileSync(new URL('../biome.json', import.meta.url), join(root, 'biome.json'))
    mkdirSync(join(root, dirname(file)), { recursive: true })
    writeFileSync(join(root, file), `import { x } from '${imports}'\n\nx()\n`)
    const biome = fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url))
    const { stdout, stderr } = spawnSync(biome, ['lint', '--vcs-enabled=false', '.'], {
      cwd: root,
      encoding: 'utf8',
    })
    expect(stdout + stderr).toContain('Checked 2 files')
    return stdout + stderr
  } finally {
    rmSync(root, { recursive: true })
  }
}

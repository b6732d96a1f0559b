import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'rolldown'
import { bundle } from '../../build.ts'
import { readRecipe } from '../knative/support/container.ts'
import { ROOT } from './processes.ts'

/** What is measured, bundled as it is shipped, and its yardsticks bundled alike. */
export type Bundles = {
  /** `ptp-watch` and, before it, the flags with which the image gives it to Node.js. */
  readonly main: readonly string[]
  readonly bare: string
  readonly bareRedis: string
  readonly bareForward: string
  readonly rawStatus: string
  readonly bareText: string
  /** Where processes keep what V8 compiled of them. */
  readonly compileCache: string
  remove(): Promise<void>
}

export async function createBundles(): Promise<Bundles> {
  const folder = await mkdtemp(join(tmpdir(), 'ptp-watch-bench-'))
  await bundle(join(folder, 'ours'))
  await build({
    cwd: ROOT,
    input: {
      bare: 'test/bench/children/bare.ts',
      'bare-redis': 'test/bench/children/bare-redis.ts',
      'bare-forward': 'test/bench/children/bare-forward.ts',
      'bare-text': 'test/bench/children/bare-text.ts',
      'raw-status': 'test/bench/children/raw-status.ts',
    },
    platform: 'node',
    output: { dir: join(folder, 'yardsticks'), format: 'esm', entryFileNames: '[name].mjs' },
    logLevel: 'warn',
  })
  const yardstick = (name: string) => join(folder, 'yardsticks', name)
  return {
    main: [...readRecipe().entryPoint.slice(1, -1), join(folder, 'ours', 'main.mjs')],
    bare: yardstick('bare.mjs'),
    bareRedis: yardstick('bare-redis.mjs'),
    bareForward: yardstick('bare-forward.mjs'),
    bareText: yardstick('bare-text.mjs'),
    rawStatus: yardstick('raw-status.mjs'),
    compileCache: join(folder, 'compiled'),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type OutputChunk } from 'rolldown'
import * as z from 'zod/mini'
import { bundlePage } from './build-page.ts'

const ROOT = fileURLToPath(new URL('.', import.meta.url))
/** Texts of packages that come without theirs, taken from their repositories. */
const LICENCES = join(ROOT, 'knative/licences')

/** Licences that the image may carry without further duties than to pass their text on. */
const PERMISSIVE: ReadonlySet<string> = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
])

const packageJson = z.object({ name: z.string(), version: z.string(), license: z.string() })

export type BundledPackage = z.output<typeof packageJson> & { readonly text: string }

/**
 * Bundles `ptp-watch` with all that it needs but Node.js into `folder`, which is emptied first: `main.mjs`, the chunks
 * that it loads when they are asked for, the page, our licence and those of the packages that are in it.
 *
 * @throws Error if a bundled package has no licence text, or a licence that is not in the list above.
 */
export async function bundle(folder: string): Promise<readonly BundledPackage[]> {
  await rm(folder, { recursive: true, force: true })
  const { output } = await build({
    cwd: ROOT,
    input: { main: 'functions/main.ts' },
    platform: 'node',
    output: {
      dir: folder,
      format: 'esm',
      // Alone in a folder, without a package.json, only the ending says that these are modules.
      entryFileNames: '[name].mjs',
      chunkFileNames: '[name]-[hash].mjs',
    },
    logLevel: 'warn',
  })
  const page = await bundlePage(join(folder, 'page'))
  const modules = [...output.flatMap((file) => (isChunk(file) ? file.moduleIds : [])), ...page]
  const packages = await Promise.all(packageFolders(modules).map(readLicence))
  await writeFile(join(folder, 'THIRD-PARTY-LICENSES.txt'), packages.map(noticeOf).join('\n'))
  await copyFile(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  return packages
}

const isChunk = (file: { readonly type: string }): file is OutputChunk => file.type === 'chunk'

/** The folders of the packages that these modules come from. */
function packageFolders(modules: readonly string[]): string[] {
  const folders = modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

async function readLicence(folder: string): Promise<BundledPackage> {
  const about = packageJson.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')))
  if (!PERMISSIVE.has(about.license)) {
    throw new Error(`${about.name} has the licence ${about.license}, which the image must not carry unread`)
  }
  const file =
    (await textIn(folder, /^licen[cs]e/i)) ?? (await textIn(LICENCES, `${about.name.replace('/', '__')}.txt`))
  if (file === undefined) throw new Error(`${about.name} has no licence text to pass on`)
  return { ...about, text: await readFile(file, 'utf8') }
}

async function textIn(folder: string, name: RegExp | string): Promise<string | undefined> {
  const found = (await readdir(folder)).find((each) =>
    typeof name === 'string' ? each === name : name.test(each),
  )
  return found === undefined ? undefined : join(folder, found)
}

function noticeOf({ name, version, license, text }: BundledPackage): string {
  return `${'='.repeat(80)}\n${name} ${version} (${license})\n${'='.repeat(80)}\n${text.trim()}\n`
}

if (import.meta.main) {
  const packages = await bundle(join(ROOT, 'dist'))
  for (const { name, version, license } of packages) process.stdout.write(`${name} ${version} ${license}\n`)
}

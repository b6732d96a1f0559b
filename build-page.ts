import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'

const PAGE = fileURLToPath(new URL('functions/status/page/', import.meta.url))

/**
 * Bundles the page that `status` serves into `folder`: `index.html`, one script and one style sheet, both named after
 * their content; what an earlier build left there goes at the end, so that a page being loaded meanwhile stays whole.
 * Returns the modules that went into it.
 */
export async function bundlePage(folder: string): Promise<readonly string[]> {
  const { output } = await build({
    input: join(PAGE, 'main.ts'),
    platform: 'browser',
    write: false,
    output: { format: 'esm', entryFileNames: 'page-[hash].js', minify: true },
    logLevel: 'warn',
  })
  const [script] = output
  const css = await readFile(join(PAGE, 'style.css'), 'utf8')
  const style = `style-${createHash('sha256').update(css).digest('hex').slice(0, 8)}.css`
  const html = (await readFile(join(PAGE, 'index.html'), 'utf8'))
    .replace('STYLE', `/page/${style}`)
    .replace('SCRIPT', `/page/${script.fileName}`)
  const files = { [style]: css, [script.fileName]: script.code, 'index.html': html }
  await mkdir(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  for (const name of await readdir(folder))
    if (!(name in files)) await rm(join(folder, name), { force: true })
  return output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
}

if (import.meta.main) await bundlePage(fileURLToPath(new URL('dist/page/', import.meta.url)))

import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorReply, type Reply } from '#shared/runtime/reply.ts'

/** Next to the bundle; when run from the sources, where `npm run build` puts it. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.mjs') ? './page/' : '../../../dist/page/', import.meta.url),
)

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Nothing from other origins and nothing inline: names from the network cannot become code. */
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  'referrer-policy': 'no-referrer',
}

/** The tab's icon for each state: told apart by shape as well as colour. */
const ICONS = new Map(
  Object.entries({
    freerun: '<rect x="3" y="3" width="26" height="26" fill="#c8102e"/>',
    holdover: '<path d="M16 2 31 29H1Z" fill="#d98200"/>',
    unknown:
      '<circle cx="16" cy="16" r="13" fill="none" stroke="#8250df" stroke-width="4" stroke-dasharray="6 4"/>',
    locked: '<circle cx="16" cy="16" r="14" fill="#1a7f37"/>',
  }).map(([state, shape]) => [
    `${state}.svg`,
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${shape}</svg>\n`,
  ]),
)

export type Assets = Awaited<ReturnType<typeof readAssets>>

/** Reads the built page into memory, some 40 KB. If it was not built, the page says how; the API works without it. */
export async function readAssets(folder = FOLDER) {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const files = new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  )
  const index = files.get('index.html')
  files.delete('index.html')
  return {
    /** The page itself; its script reads from the URL which node to show. */
    page(): Reply {
      if (index === undefined) {
        return errorReply(404, 'page', 'The page is not built: run npm run build. The API is at /api/nodes.')
      }
      // The names of the files that it loads change with their content.
      return fileReply('index.html', index, 'no-cache', PAGE_HEADERS)
    },
    /** `/page/<file>` and `/icon/<state>.svg`; undefined if there is no such file. */
    file(folder: string, name: string): Reply | undefined {
      const found = folder === 'icon' ? ICONS : folder === 'page' ? files : undefined
      const body = found?.get(name)
      const caching = folder === 'icon' ? 'public, max-age=86400' : 'public, max-age=31536000, immutable'
      return body === undefined ? undefined : fileReply(name, body, caching)
    },
  }
}

function fileReply(name: string, body: string, caching: string, more = {}): Reply {
  return {
    status: 200,
    headers: {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'cache-control': caching,
      'x-content-type-options': 'nosniff',
      ...more,
    },
    body,
  }
}

import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorReply, type Reply } from '#shared/runtime/reply.ts'
import { STATES, svgOf } from './icon.ts'

/** Beside the bundle; from the sources, where `npm run build` puts it. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.mjs') ? './page/' : '../../dist/page/', import.meta.url),
)

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Nothing from elsewhere, nothing inline: names from the network cannot become code. */
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** The files of the page by path, kept in memory: some 40 KB. */
export type Assets = {
  /** The page itself; which node it shows, its script reads from the address. */
  page(): Reply
  /** `/page/<file>` and `/icon/<state>.svg`; undefined if there is no such file. */
  file(folder: string, name: string): Reply | undefined
}

/** Reads the built page. Where it was not built, the page says how; the API works without it. */
export async function readAssets(folder = FOLDER): Promise<Assets> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const files = new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  )
  const index = files.get('index.html')
  return {
    page() {
      if (index === undefined) {
        return errorReply(404, 'page', 'The page is not built: run npm run build. The API is at /api/nodes.')
      }
      return {
        status: 200,
        // The names of the files that it loads change with them.
        headers: { ...PAGE_HEADERS, 'content-type': TYPES['.html'] ?? '', 'cache-control': 'no-cache' },
        body: index,
      }
    },
    file(folder, name) {
      if (folder === 'icon') {
        const state = STATES.find((each) => `${each.toLowerCase()}.svg` === name)
        return state === undefined ? undefined : fileReply('.svg', svgOf(state), 'public, max-age=86400')
      }
      const body = name === 'index.html' ? undefined : files.get(name)
      return body === undefined
        ? undefined
        : fileReply(extname(name), body, 'public, max-age=31536000, immutable')
    },
  }
}

function fileReply(extension: string, body: string, caching: string): Reply {
  return {
    status: 200,
    headers: {
      'content-type': TYPES[extension] ?? 'application/octet-stream',
      'cache-control': caching,
      'x-content-type-options': 'nosniff',
    },
    body,
  }
}

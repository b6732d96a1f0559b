import { fileURLToPath } from 'node:url'
import { bundlePage } from '../../build-page.ts'

/** Before all tests: the page that `status` serves, built from the sources. */
export default async function buildPage(): Promise<void> {
  await bundlePage(fileURLToPath(new URL('../../dist/page/', import.meta.url)))
}

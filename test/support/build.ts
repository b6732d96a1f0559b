import { fileURLToPath } from 'node:url'
import { bundle } from '../../build.ts'

/** Before all tests: what the image runs, built from the sources. */
export default async function build(): Promise<void> {
  await bundle(fileURLToPath(new URL('../../dist/', import.meta.url)))
}

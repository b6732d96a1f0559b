import { randomBytes } from 'node:crypto'

/**
 * Versions that nobody makes a second time: a random name, and the number of the write. Drivers never share a name, so
 * none has to know what others have written, or what the server has lost.
 */
export function createVersions(): () => string {
  const name = randomBytes(12).toString('base64url')
  let writes = 0
  return () => {
    writes += 1
    return `${name}.${writes}`
  }
}

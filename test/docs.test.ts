import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { configurationPage } from '../docs/generate.ts'

test('docs/configuration.md says what the schema says', () => {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')
  expect(page, 'run `npm run docs`').toBe(configurationPage())
})

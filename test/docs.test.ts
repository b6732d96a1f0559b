import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '#shared/runtime/serve.ts'
import { configurationPage } from '../docs/generate.ts'

test('docs/configuration.md says what the schema says', () => {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')
  expect(page, 'run `npm run docs`').toBe(configurationPage())
})

test('docs/hosting.md names the limits that the server has', () => {
  const page = readFileSync(new URL('../docs/hosting.md', import.meta.url), 'utf8')
  const {
    bodyBytes,
    bodiesBytes,
    connections,
    headersTimeout,
    requestTimeout,
    keepAliveTimeout,
    drainTimeout,
  } = DEFAULT_LIMITS
  expect(headersTimeout).toBe(requestTimeout)
  expect(page).toContain(`| body | ${bodyBytes / 1024} KiB |`)
  expect(page).toContain(`| all bodies in memory | ${bodiesBytes / 1024 / 1024} MiB;`)
  expect(page).toContain(`| connections | ${connections.toLocaleString('en')},`)
  expect(page).toContain(`| time to send the head, and the whole request | ${requestTimeout / 1000} s |`)
  expect(page).toContain(`| idle connection | ${keepAliveTimeout / 1000} s,`)
  expect(page).toContain(`| drain | ${drainTimeout / 1000} s,`)
})

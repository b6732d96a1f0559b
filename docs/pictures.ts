import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

/** `npm run pictures`: the pictures of README, of the running demo. It needs Debian's chromium. */
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = fileURLToPath(new URL('pictures/', import.meta.url))
/** Until the fleet has lived a little. Milliseconds. */
const LIVES_MS = 60_000

const demo = spawn(process.execPath, ['local/main.ts', '--seed', '4', '--pace-ms', '2500'], {
  cwd: ROOT,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const ended = once(demo, 'exit')
try {
  const found = Promise.withResolvers<string>()
  createInterface({ input: demo.stdout }).on('line', (line) => {
    const [url] = /^http:\S+/.exec(line) ?? []
    if (url !== undefined) found.resolve(url)
  })
  const url = await found.promise
  await pause(LIVES_MS)
  await mkdir(FOLDER, { recursive: true })
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ viewport: { width: 1000, height: 760 }, colorScheme })
    await page.goto(url)
    await page.locator('.dot.live').waitFor()
    await page.screenshot({ path: `${FOLDER}fleet-${colorScheme}.png` })
    const [node] = await page.locator('table.nodes th a').all()
    await node?.click()
    await page.locator('.lane').first().waitFor()
    await page.goto(`${page.url()}?span=1h`)
    await page.locator('.lane').first().waitFor()
    await page.screenshot({ path: `${FOLDER}node-${colorScheme}.png` })
  }
  await browser.close()
} finally {
  demo.kill('SIGTERM')
  await ended
}

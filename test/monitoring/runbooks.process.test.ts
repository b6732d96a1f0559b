import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../state/drivers/temporary-folder.ts'

const COMPONENT = fileURLToPath(new URL('../../knative/components/monitoring', import.meta.url))
const PAGE = new URL('../../docs/monitoring.md', import.meta.url)

test('what docs/monitoring.md has in a kustomization makes links of the runbooks', async () => {
  const [, snippet] = /```yaml\n(patches:[^`]+)```/.exec(readFileSync(PAGE, 'utf8')) ?? []
  const folder = await temporaryFolder()
  try {
    cpSync(COMPONENT, join(folder.path, 'monitoring'), { recursive: true })
    writeFileSync(join(folder.path, 'kustomization.yaml'), `components: [monitoring]\n${snippet}`)
    const rendered = execFileSync('kubectl', ['kustomize', folder.path], { encoding: 'utf8', stdio: 'pipe' })
    const links = Array.from(rendered.matchAll(/runbook_url: (\S+)/g), ([, link]) => link)
    expect(links).toHaveLength(11)
    for (const link of links) {
      expect(link).toMatch(/^https:\/\/git\.example\.com\/ptp-watch\/blob\/main\/docs\/runbooks\/PTP\w+\.md$/)
    }
  } finally {
    await folder.remove()
  }
})

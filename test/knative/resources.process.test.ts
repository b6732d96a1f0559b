import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { functionContainers } from './support/render.ts'
import { RENDERED } from './support/rendered.ts'

const PAGE = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')

describe.each(RENDERED)('$name', ({ manifests }) => {
  it('gives each function what docs/deploy.md accounts for, by what was measured', () => {
    const [, resources = ''] = PAGE.split('\n## Resources\n')
    const read = (pattern: RegExp) => {
      const [, cpu, memory] = pattern.exec(resources) ?? []
      return { cpu, memory }
    }
    const requests = read(/requests of all functions \((\w+), (\w+)\)/)
    const limits = read(/limits \((\d+) CPU, (\w+)\)/)
    for (const { workload, container } of functionContainers(manifests)) {
      expect([workload.id, container.resources]).toEqual([workload.id, { requests, limits }])
    }
  })
})

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EACH, WHOLE } from '#functions/doctor/report.ts'
import { OVERLAYS, ofKind, parse, renderOverlay, renderText } from './support/render.ts'

const PAGE = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8')

describe('docs/doctor.md', () => {
  it.each([...WHOLE, ...EACH])('explains the check %s', (check) => {
    expect(PAGE).toMatch(new RegExp(`^\\| \`${check}\` \\|`, 'm'))
  })

  it.each(OVERLAYS)('makes of the subscribe of %s a Job that is the doctor, and tries it once', (name) => {
    const script = /sed '([^']*doctor[^']*)'/.exec(PAGE)?.[1] ?? ''
    const text = execFileSync('sed', [script], { input: renderText(name), encoding: 'utf8' })
    const applied = parse(text).filter(
      ({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'subscribe',
    )
    const [job, ...more] = ofKind(applied, 'Job', 'batch/v1')
    expect(more).toEqual([])
    expect(applied).toEqual([job])
    const [before] = ofKind(renderOverlay(name), 'Job', 'batch/v1')
    const [container] = before?.spec.template.spec.containers ?? []
    expect(job).toEqual({
      ...before,
      metadata: { ...before?.metadata, name: 'doctor' },
      spec: {
        ...before?.spec,
        backoffLimit: 0,
        template: {
          ...before?.spec.template,
          spec: { ...before?.spec.template.spec, containers: [{ ...container, args: ['doctor'] }] },
        },
      },
    })
  })
})

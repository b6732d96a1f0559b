import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { OVERLAYS, ofKind, parse, renderOverlay, renderText } from './support/render.ts'

/** Commands of the operator's pages that nothing else proves: they depend on what the manifests look like. */
const DEPLOY = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')
const DOCTOR = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8')

it.each(['a secret with a blank', 'the new secret,the old one'])(
  'the token of the Broker is made from %j as ingest makes it',
  (text) => {
    const command = /\{ IFS=, read -r s _; .*?\} \| .*? cut -c1-32/s.exec(DEPLOY)?.[0] ?? ''
    const token = execFileSync('bash', ['-c', command], { input: text, encoding: 'utf8' }).trim()
    const [secret = ''] = text.split(',')
    expect(token).toBe(createCallback({ url: 'http://ingest', secrets: [secret] }).brokerToken)
  },
)

const jobOf = (overlay: string, script: string) => {
  const changed = parse(execFileSync('sed', [script], { input: renderText(overlay), encoding: 'utf8' }))
  return ofKind(changed, 'Job', 'batch/v1')[0]
}

it.each(OVERLAYS)(
  'the subscribe of %s becomes one that removes, and a doctor that is tried once',
  (overlay) => {
    const [before] = ofKind(renderOverlay(overlay), 'Job', 'batch/v1')
    const remove = jobOf(overlay, /sed '(s.*- --remove.*)'/.exec(DEPLOY)?.[1] ?? '')
    expect(remove?.spec.template.spec.containers[0]?.args).toEqual(['subscribe', '--remove'])
    expect(remove?.metadata).toEqual(before?.metadata)
    const doctor = jobOf(overlay, /sed '([^']*doctor[^']*)'/.exec(DOCTOR)?.[1] ?? '')
    expect(doctor?.spec.template.spec.containers[0]?.args).toEqual(['doctor'])
    expect(doctor?.metadata).toEqual({ ...before?.metadata, name: 'doctor' })
    expect(doctor?.spec.backoffLimit).toBe(0)
  },
)

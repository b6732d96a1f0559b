import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createCallback } from '#shared/callback.ts'
import { COMPONENTS, OVERLAYS, ofKind, parse, renderOverlay, renderText } from './support/render.ts'
import { SECRETS } from './support/secrets.ts'

const PAGE = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')

describe('docs/deploy.md', () => {
  it.each([...OVERLAYS, ...COMPONENTS])('speaks of %s', (name) => {
    expect(PAGE).toContain(`\`${name}\``)
  })

  it.each(Object.keys(SECRETS))('has people make the Secret %s', (id) => {
    const [name = '', key = ''] = id.split('/')
    const command = PAGE.split(`create secret generic ${name} `)[1]?.split('```')[0] ?? ''
    expect(command).toMatch(new RegExp(`--from-(literal|file)=${key.replace('.', '\\.')}\\b`))
  })

  it.each(OVERLAYS)('has the namespace of %s', (name) => {
    const [namespace] = ofKind(renderOverlay(name), 'Namespace', 'v1')
    expect(PAGE).toMatch(new RegExp(`\\| \`${name}\` \\|.*\\| \`${namespace?.metadata.name}\` \\|`))
  })

  it('makes the token of the Broker as ingest does', () => {
    const secret = 'a secret of the page, with a blank'
    const command = /\{ read -r s; .*?\} \| .*? cut -c1-32/s.exec(PAGE)?.[0] ?? ''
    const token = execFileSync('bash', ['-c', command], { input: secret, encoding: 'utf8' }).trim()
    expect(token).toBe(createCallback({ url: 'http://ingest', secrets: [secret] }).brokerToken)
  })

  it.each(OVERLAYS)('turns the subscribe of %s, and nothing else, into one that removes', (name) => {
    const script = /sed '(s.*- --remove.*)'/.exec(PAGE)?.[1] ?? ''
    const changed = parse(execFileSync('sed', [script], { input: renderText(name), encoding: 'utf8' }))
    const [job] = ofKind(changed, 'Job', 'batch/v1')
    expect(job?.spec.template.spec.containers[0]?.args).toEqual(['subscribe', '--remove'])
    expect(job?.metadata.labels).toMatchObject({ 'app.kubernetes.io/component': 'subscribe' })
    const others = (all: ReturnType<typeof renderOverlay>) => all.filter(({ kind }) => kind !== 'Job')
    expect(others(changed)).toEqual(others(renderOverlay(name)))
  })
})

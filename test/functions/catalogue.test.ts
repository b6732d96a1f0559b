import { describe, expect, test } from 'vitest'
import { catalogue } from '#functions/catalogue.ts'
import { VARIABLES } from '#shared/config/index.ts'
import { flagsOf, functionHelp } from '#shared/runtime/help.ts'

describe.each(Object.entries(catalogue))('%s', (name, load) => {
  test('is called what it is picked by, and can be served, but for doctor, forget and history, which are called', async () => {
    const definition = await load()
    expect(definition.name).toBe(name)
    expect(definition.modes.serve).toBe(!['doctor', 'forget', 'history'].includes(name))
    expect(definition.summary).toMatch(/^[a-z].*[^.]$/)
  })

  test('has a help of 100 columns that names its flags and its variables', async () => {
    const definition = await load()
    const help = functionHelp(definition)
    for (const line of help.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
    for (const flag of Object.keys(flagsOf(definition))) expect(help).toContain(`--${flag}`)
    for (const { name: variable, group } of VARIABLES) {
      if (!definition.environment.includes(group) && !definition.required.includes(variable)) continue
      expect(help).toMatch(new RegExp(`^ {2}${variable}\\b`, 'm'))
    }
  })
})

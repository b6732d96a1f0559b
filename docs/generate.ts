import { writeFileSync } from 'node:fs'
import { VARIABLES, type Variable } from '#shared/config/index.ts'
import { writeEventsPage } from './events.ts'

/** docs/configuration.md, made of the schema's own words. `npm run docs` writes it; a test holds it to the schema. */
export function configurationPage(): string {
  const groups = [...new Set(VARIABLES.map(({ group }) => group))]
  return [
    '# Configuration',
    '',
    '<!-- Made by `npm run docs` from shared/config/variables.ts. Do not edit. -->',
    '',
    'Everything is configured by environment variables. Values are trimmed, an empty one counts as absent, and variables that are not listed are ignored (one that is nearly spelt like ours is remarked on in the log). A process that finds a problem reports all of them at once, with what is allowed and what was found, and exits with 2. What a function reads is shown by `ptp-watch <function> --help`.',
    '',
    ...groups.flatMap((group) => [
      `## ${group}`,
      '',
      ...VARIABLES.filter((variable) => variable.group === group).flatMap(section),
    ]),
    '## A file of publishers',
    '',
    'PUBLISHERS may be the path of a JSON or a YAML (`.yaml`, `.yml`) file:',
    '',
    '```yaml',
    '- node: node1.example.com          # as the publisher writes it in addresses',
    '  url: http://10.0.0.11:9043',
    '- node: node2.example.com',
    '  url: http://localhost:8089       # a v1 sidecar',
    '  dialect: red-hat-v1              # auto (the default), red-hat-v1, red-hat-v2, starlingx-v2',
    '  transport: http://localhost:9085 # its transport address, to cure it when it is stuck',
    '  metrics: http://localhost:9091/metrics # its own figures, for `ptp-watch doctor`',
    '```',
    '',
  ].join('\n')
}

function section(variable: Variable): string[] {
  const { name, type, description, example, secret } = variable
  const fallback =
    variable.default === undefined || variable.default === '' ? 'none' : `\`${variable.default}\``
  return [
    `### ${name}`,
    '',
    description,
    '',
    `- Type: ${type}${secret ? ' (never shown, not even in an error)' : ''}`,
    `- Default: ${fallback}`,
    `- Example: \`${name}=${example}\``,
    '',
  ]
}

if (import.meta.main) {
  writeFileSync(new URL('configuration.md', import.meta.url), configurationPage())
  writeEventsPage()
}

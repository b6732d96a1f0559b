import { http } from '@google-cloud/functions-framework'
import { toFramework } from '#shared/runtime/framework.ts'
import { catalogue } from './catalogue.ts'

/** `functions-framework --target=<function>` loads this file (`main` of package.json) and serves one of these. */
for (const [name, load] of Object.entries(catalogue)) http(name, toFramework(load, process.env))

import { cloudEvent, http } from '@google-cloud/functions-framework'
import { toFramework, toFrameworkEvents } from '#shared/runtime/framework.ts'
import { catalogue, eventFunctions } from './catalogue.ts'

/** `functions-framework --target=<function>` loads this file (`main` of package.json) and serves one of these. */
for (const [name, load] of Object.entries(catalogue)) {
  if (eventFunctions.has(name)) cloudEvent(name, toFrameworkEvents(load, process.env))
  else http(name, toFramework(load, process.env))
}

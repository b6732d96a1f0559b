import { http } from '@google-cloud/functions-framework'
import { toFramework } from '#shared/runtime/framework.ts'
import { echo } from './definition.ts'

http(
  'echo',
  toFramework(() => Promise.resolve(echo), process.env),
)

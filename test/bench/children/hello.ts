import { http } from '@google-cloud/functions-framework'

/** The hello world of the framework's own documentation. */
http('hello', (_request, response) => {
  response.send('Hello, World!')
})

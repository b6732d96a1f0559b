/**
 * node:http as it is, without the `import` of it: that reads all that the module exports, and with it the clients
 * behind `WebSocket` and `fetch`: 6 MiB and 20 ms of a start (docs/contributing/performance.md). Import only types from 'node:http'.
 */
export const { createServer, IncomingMessage } = process.getBuiltinModule('node:http')

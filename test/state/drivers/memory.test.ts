import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { driverContract } from './contract.ts'

driverContract('memory', async () => {
  const driver = createMemoryDriver()
  return { open: async () => driver, cleanUp: async () => {} }
})

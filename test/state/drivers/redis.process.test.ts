import { driverContract } from './contract.ts'
import { processContract } from './processes.ts'
import { makeRedisSubject } from './redis-subject.ts'

driverContract('redis', makeRedisSubject)
processContract('redis', makeRedisSubject)

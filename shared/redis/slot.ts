const SLOTS = 16_384

/** The slot of a cluster in which all keys with the hash tag `{tag}` lie: CRC16/XMODEM, as Redis Cluster has it. */
export function slotOf(tag: string): number {
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % SLOTS
}

import type { Socket } from 'node:net'

/** Larger than nearly every notification with its head, so that those pass as they came. Bytes. */
const PIECE = 2_048

/**
 * Gives node:http what was read of a connection in small pieces, until that is closed or ignored. As
 * node:http reads, 64 KiB at a time, it makes objects of all the requests in there, up to 1,700, before anybody is
 * asked, and holds them until the end of the turn: 50 such connections would fill the memory. To be called on
 * `connection`, after node:http.
 */
export function inPieces(socket: Socket, isIgnored: () => boolean): void {
  const parsers = socket.listeners('data')
  socket.removeAllListeners('data')
  socket.on('data', (read: Buffer) => {
    for (let start = 0; start < read.length && !socket.destroyed && !isIgnored(); start += PIECE) {
      const piece = read.length <= PIECE ? read : read.subarray(start, start + PIECE)
      for (const parse of parsers) parse.call(socket, piece)
    }
  })
}
